"""What the tracker asks of a face detector."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np

from tracker.types import FaceBox, ImageArray


class FaceDetector(Protocol):
    """Finds faces in single images. Not thread-safe: one thread makes it, uses it and closes it."""

    def detect(self, image: ImageArray, *, smallest_px: float | None = None) -> list[FaceBox]:
        """Faces of one image.

        Args:
            image: (H, W, 3) uint8 RGB, H and W at least 1.
            smallest_px: what the landmarks of the smallest wanted face span; None: whatever a quick look finds. It
                says how long to look, not what to leave out.

        Returns:
            One box per face, highest score first. Each is the square that ``box_around_points``
            (``tracker/geometry/crop.py``) would give for the face's landmarks: centre and side belong to the
            frame turned by ``roll`` about the box's centre.
        """
        ...

    def close(self) -> None:
        """Frees what the detector holds; may be called twice."""
        ...


class DetectorFactory(Protocol):
    """Makes a detector. Whatever it needs and can't get raises FewmarkError here, not on the first image."""

    def __call__(
        self,
        *,
        min_score: float | None = None,
        model_dir: Path | None = None,
        report: Callable[[str], None] | None = None,
    ) -> FaceDetector:
        """
        Args:
            min_score: 0..1; detections below it are left out; None: the detector's own choice.
            model_dir: where the user keeps model files, see ``tracker.files.model_store``.
            report: receives a line for a person when a model file has to be obtained.
        """
        ...


def check_image(image: ImageArray) -> None:
    """
    Raises:
        ValueError: the array is not (H, W, 3) uint8, or is empty.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(f"expected an image (H, W, 3) uint8, got {image.shape} {image.dtype}")
