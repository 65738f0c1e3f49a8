"""BlazeFace (Bazarevsky et al. 2019, arXiv:1907.05047) through MediaPipe's Tasks API."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from models.errors import FewmarkError
from tracker.detectors.native_stderr import without_stderr_lines
from tracker.detectors.tiling import merge
from tracker.detectors.tiling import tiles as image_tiles
from tracker.files import model_store
from tracker.machine.deferred_import import deferred
from tracker.types import FaceBox, ImageArray

ModelName = Literal["short_range", "full_range"]

# Radians. BlazeFace knows upright faces; what it finds turned by more is hardly ever one.
_MAX_ROLL = math.radians(60)

# What MediaPipe says of itself, whatever the environment asks for, whenever a detector is made.
_CHATTER = re.compile(r"absl::InitializeLog\(\)|^INFO: Created TensorFlow Lite|inference_feedback_manager")


@dataclass(frozen=True, slots=True, eq=False)
class BlazeFaceDetection:
    """What BlazeFace says of one face."""

    keypoints: NDArray[np.float64]  # (6, 2) frame pixels: eyes (image left first), nose, mouth, tragions
    score: float  # 0..1


@dataclass(frozen=True, slots=True)
class LandmarkBoxFit:
    """Linear map from BlazeFace's keypoints to the square around the landmarks (68 of iBUG, brows to chin).

    In the keypoints' own frame: origin their mean, eyes level, unit their root mean square distance from the origin.
    Nothing here turns one way: a face and its mirror image get mirrored boxes.
    """

    centre_x: float  # times the nose's x
    centre_y: tuple[float, float, float]  # times (1, nose y, mouth y)
    side: tuple[float, float, float]  # times the same


# Made by training/crops/fit_detector_box.py.
LANDMARK_BOX_FITS: dict[ModelName, LandmarkBoxFit] = {
    "short_range": LandmarkBoxFit(centre_x=-0.559, centre_y=(-0.215, -0.192, 0.744), side=(2.986, -0.629, 0.114)),
    "full_range": LandmarkBoxFit(centre_x=-0.661, centre_y=(0.011, -0.132, 0.495), side=(2.347, -0.939, 0.961)),
}


@dataclass(frozen=True, slots=True)
class _Tiling:
    min_side: int  # px; smaller tiles are not looked at
    min_score: float  # parts of a face look like faces from near: finds in tiles must be surer than in the whole image


_TILINGS: dict[ModelName, _Tiling] = {"short_range": _Tiling(240, 0.7), "full_range": _Tiling(360, 0.6)}


class MediaPipeFaceDetector:
    """Upright faces (in-plane rotation up to about 45 degrees) by BlazeFace.

    ``short_range`` finds faces whose landmarks span at least a sixth of the image's longer side; ``full_range`` goes
    down to an eleventh and takes about twice as long. With ``tiles`` they look at overlapping square parts of the image
    too and find faces from about 40 and 60 px, whatever the size of the image, in ten to a hundred times the time.

    Not thread-safe: use it from one thread, and close it; at interpreter exit MediaPipe's own destructor is too late.
    Boxes are as the FaceDetector protocol has them.
    """

    def __init__(
        self,
        model: ModelName = "short_range",
        *,
        min_score: float = 0.5,
        tiles: bool = False,
        model_dir: Path | None = None,
        report: Callable[[str], None] | None = None,
    ) -> None:
        """Loads the model, obtaining its file first where it is not on this machine.

        Args:
            model: which BlazeFace.
            min_score: 0..1; detections below it are left out.
            tiles: look for faces that are small in the image as well.
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
        self._tiles = tiles
        self._to_mediapipe: Callable[[ImageArray], Any] = lambda image: mediapipe.Image(
            mediapipe.ImageFormat.SRGB, np.ascontiguousarray(image)
        )
        options = vision.FaceDetectorOptions(
            base_options=BaseOptions(model_asset_buffer=path.read_bytes()), min_detection_confidence=min_score
        )
        with without_stderr_lines(_CHATTER):
            try:
                self._detector = vision.FaceDetector.create_from_options(options)
            except OSError as error:
                raise _unusable(error) from error
            # Some of the chatter comes with the first image.
            self._detector.detect(self._to_mediapipe(np.zeros((8, 8, 3), np.uint8)))
        self._closed = False

    def detect(self, image: ImageArray, *, thorough: bool = False) -> list[FaceBox]:
        """Faces of an image, (H, W, 3) uint8 RGB; highest score first. See ``FaceDetector.detect``."""
        fit = LANDMARK_BOX_FITS[self._model]
        boxes = _upright(landmark_box(found, fit) for found in self.detect_keypoints(image))
        if self._tiles or (thorough and not boxes):
            boxes = merge([*boxes, *_upright(self._detect_in_tiles(image, fit))])
        return sorted(boxes, key=lambda box: -box.score)

    def _detect_in_tiles(self, image: ImageArray, fit: LandmarkBoxFit) -> Iterator[FaceBox]:
        height, width = image.shape[:2]
        tiling = _TILINGS[self._model]
        for tile in image_tiles(width, height, tiling.min_side):
            for found in self.detect_keypoints(image[tile.rows, tile.columns]):
                in_image = BlazeFaceDetection(found.keypoints + np.array([tile.left, tile.top]), found.score)
                box = landmark_box(in_image, fit)
                if found.score >= tiling.min_score and not tile.cuts(box, width, height):
                    yield box

    def detect_keypoints(self, image: ImageArray) -> list[BlazeFaceDetection]:
        """BlazeFace's own answer for a whole image, (H, W, 3) uint8 RGB."""
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(f"expected an image (H, W, 3) uint8, got {image.shape} {image.dtype}")
        if self._closed:
            raise RuntimeError("the detector is closed")
        height, width = image.shape[:2]
        result = self._detector.detect(self._to_mediapipe(image))
        return [
            # MediaPipe counts from the image's edge, this project from the centre of the first pixel.
            BlazeFaceDetection(
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


@dataclass(frozen=True, slots=True, eq=False)
class KeypointFrame:
    """The frame in which ``LandmarkBoxFit`` is stated, and what it takes."""

    origin: NDArray[np.float64]  # (2,) frame pixels
    frame_from_face: NDArray[np.float64]  # (2, 2) rotation
    unit: float  # px
    roll: float  # radians
    nose_x: float  # units
    terms: NDArray[np.float64]  # (3,) 1, nose y, mouth y; units


def keypoint_frame(keypoints: NDArray[np.float64]) -> KeypointFrame:
    """Expresses the six keypoints, (6, 2) frame pixels, in their own frame."""
    dx, dy = keypoints[1] - keypoints[0]
    roll = math.atan2(dy, dx)
    cos, sin = math.cos(roll), math.sin(roll)
    frame_from_face = np.array([[cos, -sin], [sin, cos]])
    origin = keypoints.mean(axis=0)
    level = (keypoints - origin) @ frame_from_face
    unit = max(math.sqrt(float((level**2).sum(axis=1).mean())), 1e-3)
    (nose_x, nose_y), (_, mouth_y) = level[2:4] / unit
    return KeypointFrame(origin, frame_from_face, unit, roll, float(nose_x), np.array([1.0, nose_y, mouth_y]))


def landmark_box(detection: BlazeFaceDetection, fit: LandmarkBoxFit) -> FaceBox:
    """The square around the landmarks of a detected face, as the FaceDetector protocol has it."""
    frame = keypoint_frame(detection.keypoints)
    level = np.array([frame.nose_x * fit.centre_x, frame.terms @ fit.centre_y])
    centre = frame.origin + frame.frame_from_face @ level * frame.unit
    half = float(frame.terms @ fit.side) * frame.unit / 2
    return FaceBox(np.concatenate([centre - half, centre + half]).astype(np.float32), detection.score, frame.roll)


def _upright(boxes: Iterable[FaceBox]) -> list[FaceBox]:
    return [box for box in boxes if abs(box.roll) <= _MAX_ROLL]


def _unusable(error: Exception) -> FewmarkError:
    hint = "install this project's requirements again"
    if "libGLES" in str(error) or "libEGL" in str(error):
        hint = "it needs two system libraries, screen or not; on Debian or Ubuntu: apt install libgles2 libegl1"
    return FewmarkError(f"MediaPipe, the face detector's runtime, can't be loaded ({error}); {hint}")
