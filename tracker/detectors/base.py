"""What the tracker asks of a face detector."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from tracker.types import FaceBox, ImageArray


class FaceDetector(Protocol):
    """Finds faces in single images. Not thread-safe: one thread makes it, uses it and closes it."""

    def detect(self, image: ImageArray, *, thorough: bool = False) -> list[FaceBox]:
        """Faces of one image.

        Args:
            image: (H, W, 3) uint8 RGB, H and W at least 1.
            thorough: where there seems to be none, take the time to look for small ones.

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
        min_score: float = 0.5,
        tiles: bool = False,
        model_dir: Path | None = None,
        report: Callable[[str], None] | None = None,
    ) -> FaceDetector:
        """
        Args:
            min_score: 0..1; detections below it are left out.
            tiles: look for faces that are small in the image as well; many times slower.
            model_dir: where the user keeps model files, see ``tracker.files.model_store``.
            report: receives a line for a person when a model file has to be obtained.
        """
        ...
