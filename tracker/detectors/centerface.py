"""CenterFace (Xu et al. 2019, arXiv:1911.03599): one pass over an image gives a heatmap of faces' centres, and for each
pixel of it the size and the five keypoints of a face that were there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from tracker.detectors.base import check_image
from tracker.detectors.engines import open_engine
from tracker.detectors.keypoint_box import KeypointDetection, LandmarkBoxFit, landmark_box, upright
from tracker.detectors.tiling import suppress
from tracker.files import model_store
from tracker.types import FaceBox, FloatArray, ImageArray

# Made by training/crops/fit_detector_box.py.
LANDMARK_BOX_FIT = LandmarkBoxFit(centre_x=-2.549, centre_y=(0.57, -0.923, 0.235), side=(3.151, -0.256, 0.869))

_OUTPUTS = ("537", "538", "539", "540")  # heatmap, log size, offset, keypoints
_STRIDE = 4  # px of the network's input per pixel of the heatmap
_MULTIPLE = 32  # px; what the input's sides must be
_MIN_SCORE = 0.35  # small faces in groups have 0.4, and what is none is seen by the landmarks
_SMALLEST = 18  # px of the network's input: what a face's landmarks must span for it to be found
_QUICK_SIDE = 320  # px of the network's input, the longer side of a quick look


class CenterFaceDetector:
    """Upright faces (in-plane rotation up to about 45 degrees), of any size down to 18 px.

    Time goes with the square of the image's side over the smallest wanted face: a quick look, which finds faces from a
    sixteenth of the longer side, takes a quarter of one for faces of half the size.

    Not thread-safe. Boxes are as the FaceDetector protocol has them.
    """

    def __init__(
        self,
        *,
        min_score: float | None = None,
        model_dir: Path | None = None,
        report: Callable[[str], None] | None = None,
    ) -> None:
        """Loads the network, obtaining its file first where it is not on this machine.

        Args:
            min_score: 0..1; detections below it are left out.
            model_dir: where the user keeps model files, see ``tracker.files.model_store``.
            report: receives a line for a person when the file has to be obtained.

        Raises:
            FewmarkError: the file can't be had.
        """
        path = model_store.find_or_fetch("centerface", directory=model_dir, report=report)
        self._run = open_engine(path, _OUTPUTS)
        self._min_score = _MIN_SCORE if min_score is None else min_score
        self._closed = False

    def detect(self, image: ImageArray, *, smallest_px: float | None = None) -> list[FaceBox]:
        """Faces of an image, (H, W, 3) uint8 RGB; highest score first. See ``FaceDetector.detect``."""
        found = self.detect_keypoints(image, smallest_px=smallest_px)
        return suppress(upright(landmark_box(face, LANDMARK_BOX_FIT) for face in found))

    def detect_keypoints(self, image: ImageArray, *, smallest_px: float | None = None) -> list[KeypointDetection]:
        """CenterFace's own answer; now and then several for one face. Keypoints: eyes, nose, middle of the mouth."""
        check_image(image)
        if self._closed:
            raise RuntimeError("the detector is closed")
        scale = _QUICK_SIDE / max(image.shape[:2]) if smallest_px is None else _SMALLEST / smallest_px
        width, height = (max(1, round(side * min(scale, 1))) for side in image.shape[1::-1])
        small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        padded = np.zeros((1, 3, _padded(height), _padded(width)), np.float32)
        padded[0, :, :height, :width] = small.transpose(2, 0, 1)
        heatmap, log_size, offset, keypoints = (output[0] for output in self._run(padded))
        image_from_small = np.array([image.shape[1] / width, image.shape[0] / height])
        return [
            KeypointDetection((points + 0.5) * image_from_small - 0.5, score)
            for points, score in _decode(heatmap[0], log_size, offset, keypoints, self._min_score)
        ]

    def close(self) -> None:
        """Frees the network; may be called twice."""
        self._closed = True
        self._run = _nothing


def _decode(
    heatmap: FloatArray, log_size: FloatArray, offset: FloatArray, keypoints: FloatArray, min_score: float
) -> list[tuple[FloatArray, float]]:
    """Keypoints, (4, 2) pixels of the input, and score of every peak of the heatmap.

    Args:
        heatmap: (h, w) 0..1.
        log_size: (2, h, w) logarithms of height and width of the face's box, in strides.
        offset: (2, h, w) y and x of its centre within the heatmap's pixel.
        keypoints: (10, h, w) y and x of eyes, nose and corners of the mouth, in units of the box, from its corner.
    """
    rows, columns = np.nonzero((heatmap >= min_score) & (heatmap >= cv2.dilate(heatmap, np.ones((3, 3), np.uint8))))
    size = np.exp(log_size[:, rows, columns]) * _STRIDE
    centre = (np.stack([rows, columns]) + offset[:, rows, columns] + 0.5) * _STRIDE
    # The network counts from the image's edge, this project from the centre of the first pixel.
    y_x = keypoints[:, rows, columns].reshape(5, 2, -1) * size + (centre - size / 2) - 0.5
    points = y_x[:, ::-1].transpose(2, 0, 1)  # (faces, 5, 2) x, y
    with_mouth = np.concatenate([points[:, :3], points[:, 3:].mean(axis=1, keepdims=True)], axis=1)
    return [(face, float(heatmap[row, column])) for face, row, column in zip(with_mouth, rows, columns, strict=True)]


def _padded(side: int) -> int:
    return -(-side // _MULTIPLE) * _MULTIPLE


def _nothing(images: FloatArray) -> list[FloatArray]:
    raise RuntimeError("the detector is closed")
