"""What the network says of squares that show no face: the figure against which ``min_confidence`` is chosen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from models.crop_rule import CropRule
from models.errors import FewmarkError
from models.files.model_file import FaceModel
from tracker.backends import Backend
from tracker.detectors import FaceDetector
from tracker.following.association import overlaps
from tracker.geometry.crop import bounding_box, cut_crop, frame_from_crop_matrix
from tracker.types import FaceBox, FloatArray, ImageArray
from training.datasets import FaceSample

_SEED = 0
_ATTEMPTS = 50  # a photo; one that its face fills has no room for a square
_MIN_SIDE = 32.0  # px; below, the crop is mostly interpolation
_SIDES = (0.15, 0.5)  # range of a square's side, in units of the photo's shorter side
_FACE_GROWTH = 1.1  # labelled faces are kept clear of with this margin
_BATCH = 16
_WHOLE_SQUARE = CropRule(margin=1.0, lift=0.0, level=False)  # the square is the crop: a model's margin would show more


def background_confidences(
    model: FaceModel,
    backend: Backend,
    detector: FaceDetector,
    photos: Iterable[Sequence[FaceSample]],
    most: int,
) -> FloatArray:
    """Mean raw confidence on random squares that touch neither a labelled nor a detected face.

    Args:
        photos: the labelled faces of each photo; a photo gives one square at most.
        most: number of squares after which to stop.

    Returns:
        (M,) float32, 0..1, M <= ``most``.
    """
    rng = np.random.default_rng(_SEED)
    size = model.network.config.input_size
    crops: list[ImageArray] = []
    for faces in photos:
        if len(crops) == most:
            break
        try:
            image = faces[0].load_image()
        except FewmarkError:
            continue  # evaluating the face has named it already
        labelled = [_grown(bounding_box(face.points[face.visible], 1.0)) for face in faces if face.visible.any()]
        square = _free_square(image, [*labelled, *detector.detect(image)], rng)
        if square is not None:
            crops.append(cut_crop(image, frame_from_crop_matrix(square, size, _WHOLE_SQUARE), size).image)
    batches = [np.stack(crops[i : i + _BATCH]) for i in range(0, len(crops), _BATCH)]
    confidences = [backend.predict(batch).confidence.mean(axis=1) for batch in batches]
    return np.concatenate(confidences).astype(np.float32) if confidences else np.empty(0, np.float32)


def _free_square(image: ImageArray, faces: Sequence[FaceBox], rng: np.random.Generator) -> FaceBox | None:
    """A square within the image that touches no face; None if chance finds none."""
    height, width = image.shape[:2]
    for _ in range(_ATTEMPTS):
        side = max(_MIN_SIDE, rng.uniform(*_SIDES) * min(height, width))
        if side > min(height, width):
            return None
        left, top = rng.uniform(0, width - side), rng.uniform(0, height - side)
        square = FaceBox(np.array([left, top, left + side, top + side], np.float32), 1.0)
        if not overlaps([square], faces).any():
            return square
    return None


def _grown(box: FaceBox) -> FaceBox:
    margin = (_FACE_GROWTH - 1) / 2 * np.array([box.width, box.height, -box.width, -box.height], np.float32)
    return FaceBox(box.xyxy - margin, box.score)
