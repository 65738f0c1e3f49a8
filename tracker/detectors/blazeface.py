"""BlazeFace (Bazarevsky et al. 2019, arXiv:1907.05047) through MediaPipe's Tasks API."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np

from models.errors import FewmarkError
from tracker.detectors.base import check_image
from tracker.detectors.keypoint_box import KeypointDetection, LandmarkBoxFit, landmark_box, upright
from tracker.detectors.native_stderr import without_stderr_lines
from tracker.detectors.tiling import merge, tiles
from tracker.files import model_store
from tracker.machine.deferred_import import deferred
from tracker.types import FaceBox, ImageArray

ModelName = Literal["short_range", "full_range"]

# What MediaPipe says of itself, whatever the environment asks for, whenever a detector is made.
_CHATTER = re.compile(r"absl::InitializeLog\(\)|^INFO: Created TensorFlow Lite|inference_feedback_manager")

_MIN_SCORE = 0.5

# Made by training/crops/fit_detector_box.py.
LANDMARK_BOX_FITS: dict[ModelName, LandmarkBoxFit] = {
    "short_range": LandmarkBoxFit(centre_x=-0.559, centre_y=(-0.215, -0.192, 0.744), side=(2.986, -0.629, 0.114)),
    "full_range": LandmarkBoxFit(centre_x=-0.661, centre_y=(0.011, -0.132, 0.495), side=(2.347, -0.939, 0.961)),
}


@dataclass(frozen=True, slots=True)
class _Tiling:
    min_side: int  # px; smaller tiles are not looked at, whatever is wanted
    min_score: float  # parts of a face look like faces from near: finds in tiles must be surer than in the whole image


_TILE_OVER_FACE = 3  # tiles need not be smaller, in units of the smallest wanted face
_TILINGS: dict[ModelName, _Tiling] = {"short_range": _Tiling(240, 0.7), "full_range": _Tiling(360, 0.6)}


class MediaPipeFaceDetector:
    """Upright faces (in-plane rotation up to about 45 degrees) by BlazeFace.

    ``short_range`` finds faces whose landmarks span at least a sixth of the image's longer side; ``full_range`` goes
    down to an eleventh and takes about three times as long. Where smaller ones are wanted they look at overlapping
    square parts of the image too and find faces from about 40 and 60 px, in ten to a hundred times the time.

    Not thread-safe: use it from one thread, and close it; at interpreter exit MediaPipe's own destructor is too late.
    Boxes are as the FaceDetector protocol has them.
    """

    def __init__(
        self,
        model: ModelName = "short_range",
        *,
        min_score: float | None = None,
        model_dir: Path | None = None,
        report: Callable[[str], None] | None = None,
    ) -> None:
        """Loads the model, obtaining its file first where it is not on this machine.

        Args:
            model: which BlazeFace.
            min_score: 0..1; detections below it are left out.
            model_dir: where the user keeps model files, see ``tracker.files.model_store``.
            report: receives a line for a person when the file has to be obtained.

        Raises:
            FewmarkError: the model's file can't be had, or MediaPipe can't be loaded.
        """
        path = model_store.find_or_fetch(model, directory=model_dir, report=report)
        try:
            with deferred("matplotlib", "matplotlib.pyplot", "sounddevice"):
                import mediapipe
                from mediapipe.tasks.python import BaseOptions, vision
        except (ImportError, OSError) as error:
            raise _unusable(error) from error
        self._model = model
        self._to_mediapipe: Callable[[ImageArray], Any] = lambda image: mediapipe.Image(
            mediapipe.ImageFormat.SRGB, np.ascontiguousarray(image)
        )
        options = vision.FaceDetectorOptions(
            base_options=BaseOptions(model_asset_buffer=path.read_bytes()),
            min_detection_confidence=_MIN_SCORE if min_score is None else min_score,
        )
        with without_stderr_lines(_CHATTER):
            try:
                self._detector = vision.FaceDetector.create_from_options(options)
            except OSError as error:
                raise _unusable(error) from error
            # Some of the chatter comes with the first image.
            self._detector.detect(self._to_mediapipe(np.zeros((8, 8, 3), np.uint8)))
        self._closed = False

    def detect(self, image: ImageArray, *, smallest_px: float | None = None) -> list[FaceBox]:
        """Faces of an image, (H, W, 3) uint8 RGB; highest score first. See ``FaceDetector.detect``."""
        fit = LANDMARK_BOX_FITS[self._model]
        boxes = upright(landmark_box(found, fit) for found in self.detect_keypoints(image))
        if smallest_px is not None:
            boxes = merge([*boxes, *upright(self._detect_in_tiles(image, fit, smallest_px))])
        return sorted(boxes, key=lambda box: -box.score)

    def _detect_in_tiles(self, image: ImageArray, fit: LandmarkBoxFit, smallest_px: float) -> Iterator[FaceBox]:
        height, width = image.shape[:2]
        tiling = _TILINGS[self._model]
        for tile in tiles(width, height, max(tiling.min_side, round(_TILE_OVER_FACE * smallest_px))):
            for found in self.detect_keypoints(image[tile.rows, tile.columns]):
                in_image = KeypointDetection(found.keypoints + np.array([tile.left, tile.top]), found.score)
                box = landmark_box(in_image, fit)
                if found.score >= tiling.min_score and not tile.cuts(box, width, height):
                    yield box

    def detect_keypoints(self, image: ImageArray) -> list[KeypointDetection]:
        """BlazeFace's own answer for a whole image, (H, W, 3) uint8 RGB."""
        check_image(image)
        if self._closed:
            raise RuntimeError("the detector is closed")
        height, width = image.shape[:2]
        result = self._detector.detect(self._to_mediapipe(image))
        return [
            # MediaPipe counts from the image's edge, this project from the centre of the first pixel.
            KeypointDetection(
                np.array([(p.x * width - 0.5, p.y * height - 0.5) for p in found.keypoints]),
                float(found.categories[0].score),
            )
            for found in result.detections
        ]

    def close(self) -> None:
        """Frees the network and MediaPipe's thread; may be called twice."""
        if not self._closed:
            self._closed = True
            self._detector.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _unusable(error: Exception) -> FewmarkError:
    hint = "install this project's requirements again"
    if "libGLES" in str(error) or "libEGL" in str(error):
        hint = "it needs two system libraries, screen or not; on Debian or Ubuntu: apt install libgles2 libegl1"
    return FewmarkError(f"MediaPipe, the face detector's runtime, can't be loaded ({error}); {hint}")
