"""What the pipeline asks of whatever runs the network.

Legend: B faces, K landmarks, S crop side, h heatmap side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tracker.types import FloatArray, ImageArray


@dataclass(frozen=True, slots=True)
class PredictionRequest:
    """What a prediction is to hold beside the landmarks and their confidences."""

    heatmaps: bool = False  # relative to their own peaks
    heatmap_of: int | None = None  # index of the landmark whose heatmaps these are; None: all landmarks', collapsed
    reconstructions: bool = False  # what the autoencoder makes of the crops

    @property
    def holds_pictures(self) -> bool:
        """Whether anything is asked for beside the landmarks."""
        return self.heatmaps or self.reconstructions


LANDMARKS_ONLY = PredictionRequest()


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What the network says of a batch of crops."""

    points: FloatArray  # (B, K, 2) crop pixels, sub-pixel
    confidence: FloatArray  # (B, K) 0..1
    heatmaps: FloatArray | None = None  # (B, h, h) 0..1, of all landmarks collapsed or of one; only on request
    reconstructions: ImageArray | None = None  # (B, S, S, 3) RGB; only on request


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A backend that does not run, though it would be better than the one that does."""

    backend: str  # as in BACKENDS
    reason: str  # for people, with what would help: "not installed; pip install ..."
    pending: bool = False  # it is being made, and takes over by itself

    def __str__(self) -> str:
        return f"{self.backend}: {self.reason}"


class Backend(Protocol):
    """Runs one model. Normalisation, network and decoding belong to it; full heatmaps never leave it.

    One thread at a time: another may make it than uses it and closes it.
    """

    @property
    def name(self) -> str:
        """As in BACKENDS."""
        ...

    @property
    def device(self) -> str:
        """For people: "CPU, 2 threads", "NVIDIA H100, fp16"."""
        ...

    def predict(self, crops: ImageArray, request: PredictionRequest = LANDMARKS_ONLY) -> Prediction:
        """Locates the landmarks.

        Args:
            crops: (B, S, S, 3) uint8 RGB, B >= 1.
            request: what to return beside points and confidences.
        """
        ...

    def close(self) -> None:
        """Frees what the backend holds; may be called twice."""
        ...
