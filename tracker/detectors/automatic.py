"""The default: BlazeFace where there is no time, CenterFace where small faces are wanted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from models.errors import FewmarkError
from tracker.detectors.base import FaceDetector
from tracker.detectors.blazeface import MediaPipeFaceDetector
from tracker.detectors.centerface import CenterFaceDetector
from tracker.types import FaceBox, ImageArray


class AutomaticDetector:
    """Quick looks by ``short_range``, thorough ones by ``centerface``.

    Where CenterFace's file can't be had, thorough looks are ``short_range`` in tiles: fewer faces, in more time.
    """

    PARTS = ("short_range", "centerface")

    def __init__(
        self,
        *,
        min_score: float | None = None,
        model_dir: Path | None = None,
        report: Callable[[str], None] | None = None,
    ) -> None:
        """
        Args:
            min_score: 0..1, of either; None: its own choice.
            model_dir: where the user keeps model files, see ``tracker.files.model_store``.
            report: receives a line for a person when a file has to be obtained, or can't be.

        Raises:
            FewmarkError: the file of ``short_range`` can't be had, or MediaPipe can't be loaded.
        """
        self._quick = MediaPipeFaceDetector("short_range", min_score=min_score, model_dir=model_dir, report=report)
        self._thorough: FaceDetector = self._quick
        try:
            self._thorough = CenterFaceDetector(min_score=min_score, model_dir=model_dir, report=report)
        except FewmarkError as error:
            if report:
                report(f"Face detector: small faces are looked for by short_range, as there is no centerface. {error}")

    def detect(self, image: ImageArray, *, smallest_px: float | None = None) -> list[FaceBox]:
        """Faces of an image, (H, W, 3) uint8 RGB; highest score first. See ``FaceDetector.detect``."""
        return (self._quick if smallest_px is None else self._thorough).detect(image, smallest_px=smallest_px)

    def close(self) -> None:
        """Frees both; may be called twice."""
        self._quick.close()
        self._thorough.close()
