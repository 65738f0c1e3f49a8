"""Finds out where the face lies around the points of a landmark scheme: a detector looks at the labelled photos.

A model for the points of an eye must still be given crops of the whole face, as its network has learned them, and the
tracker must get from the points of one frame to the same crop in the next.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np

from models.errors import FewmarkError
from models.landmark_schemes import FACE_WIDE_SCHEMES, FaceSquare, LandmarkScheme
from tracker.config import DetectionConfig
from tracker.detectors.base import FaceDetector
from tracker.geometry.crop import box_around_points
from tracker.types import FaceBox
from training.datasets import FaceSample

MAX_PHOTOS = 200  # evenly spread; their median is exact enough
_MIN_SIDE_RATIO = 0.02  # of the points' square to the face's; below it, noise would decide where the crop lies


def needs_face_square(scheme: LandmarkScheme) -> bool:
    """Whether it is unknown how the scheme's points lie in the face."""
    return scheme.face_square is None and scheme.name not in FACE_WIDE_SCHEMES


def with_face_square(
    scheme: LandmarkScheme,
    samples: Sequence[FaceSample],
    detector: FaceDetector,
    report: Callable[[str], None] = print,
) -> LandmarkScheme:
    """The scheme with its face square: the median over the faces on which a detection lies.

    Args:
        samples: labelled faces of the scheme.
        report: receives a line for a person.

    Raises:
        FewmarkError: the detector finds none of the faces, or the points lie too close together to lead to one.
    """
    seen = samples[:: math.ceil(len(samples) / MAX_PHOTOS)]
    squares = [found for sample in seen if (found := _face_square(scheme, sample, detector)) is not None]
    if not squares:
        raise FewmarkError(
            f"scheme {scheme.name}: the detector finds no face at the labels of {len(seen)} photos, so where the face "
            "lies around the points stays unknown; label photos that show whole faces"
        )
    side, right, down = np.median(np.array(squares), axis=0).tolist()
    if side * _MIN_SIDE_RATIO > 1:
        raise FewmarkError(
            f"scheme {scheme.name}: its points span 1/{side:.0f} of the face, too little to follow it; "
            "label points that lie farther apart as well"
        )
    seen_in = f"seen in {len(squares)} of {len(seen)} photos"
    report(f"{scheme.name}: the face is {side:.2f} times as wide as its points ({seen_in})")
    return dataclasses.replace(scheme, face_square=FaceSquare(side, right, down))


def _face_square(scheme: LandmarkScheme, sample: FaceSample, detector: FaceDetector) -> FaceSquare | None:
    """Of one face; None if the photo can't be read or no detection lies on the labels."""
    try:
        image = sample.load_image()
    except FewmarkError:
        return None  # whoever loads the crops names it
    points = box_around_points(sample.points, dataclasses.replace(scheme, face_square=None))
    boxes = detector.detect(image) or detector.detect(image, smallest_px=DetectionConfig().smallest_px(image))
    holding = [box for box in boxes if _holds(box, points.centre)]
    if not holding:
        return None
    face = min(holding, key=lambda box: math.dist(box.centre, points.centre) / box.width)
    dx, dy = np.subtract(face.centre, points.centre) / points.width
    cos, sin = math.cos(points.roll), math.sin(points.roll)
    return FaceSquare(face.width / points.width, cos * dx + sin * dy, cos * dy - sin * dx)


def _holds(box: FaceBox, point: tuple[float, float]) -> bool:
    return math.dist(box.centre, point) < 0.6 * box.width
