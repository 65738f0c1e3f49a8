"""What the pipeline asks of whatever runs the network.

Legend: B faces, K landmarks, S crop side, h heatmap side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tracker.types import FloatArray, ImageArray


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What the network says of a batch of crops."""

    points: FloatArray  # (B, K, 2) crop pixels, sub-pixel
    confidence: FloatArray  # (B, K) 0..1
    heatmaps: FloatArray | None = None  # (B, h, h) 0..1, of all landmarks collapsed or of one; only on request
    reconstructions: ImageArray | None = None  # (B, S, S, 3) RGB; only on request


class Backend(Protocol):
    """Runs one model. Normalisation, network and decoding belong to it; full heatmaps never leave it.

    Single-threaded: one thread makes it, uses it and closes it.
    """

    name: str  # as in BACKENDS
    device: str  # for people: "CPU, 2 threads", "NVIDIA H100"

    def predict(
        self,
        crops: ImageArray,
        *,
        heatmaps: bool = False,
        heatmap_of: int | None = None,
        reconstructions: bool = False,
    ) -> Prediction:
        """Locates the landmarks.

        Args:
            crops: (B, S, S, 3) uint8 RGB, B >= 1.
            heatmaps: also return heatmaps, relative to their own peaks.
            heatmap_of: index of the landmark whose heatmaps these are; None collapses those of all landmarks.
            reconstructions: also return what the autoencoder makes of the crops.
        """
        ...

    def close(self) -> None:
        """Frees what the backend holds; may be called twice."""
        ...
