"""From a few keypoints of a face, as detectors give them, to the square around its landmarks."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracker.types import FaceBox

# Radians. Detectors know upright faces; what they find turned by more is hardly ever one.
_MAX_ROLL = math.radians(60)


@dataclass(frozen=True, slots=True, eq=False)
class KeypointDetection:
    """What a detector says of one face."""

    keypoints: NDArray[np.float64]  # (N, 2) frame pixels: eyes (image left first), nose, mouth; others behind them
    score: float  # 0..1


@dataclass(frozen=True, slots=True)
class LandmarkBoxFit:
    """Linear map from a detector's keypoints to the square around the landmarks (68 of iBUG, brows to chin).

    In the keypoints' own frame: origin their mean, eyes level, unit their root mean square distance from the origin.
    Nothing here turns one way: a face and its mirror image get mirrored boxes.
    """

    centre_x: float  # times the nose's x
    centre_y: tuple[float, float, float]  # times (1, nose y, mouth y)
    side: tuple[float, float, float]  # times the same


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
    """Expresses keypoints, (N, 2) frame pixels as in ``KeypointDetection``, in their own frame."""
    dx, dy = keypoints[1] - keypoints[0]
    roll = math.atan2(dy, dx)
    cos, sin = math.cos(roll), math.sin(roll)
    frame_from_face = np.array([[cos, -sin], [sin, cos]])
    origin = keypoints.mean(axis=0)
    level = (keypoints - origin) @ frame_from_face
    unit = max(math.sqrt(float((level**2).sum(axis=1).mean())), 1e-3)
    (nose_x, nose_y), (_, mouth_y) = level[2:4] / unit
    return KeypointFrame(origin, frame_from_face, unit, roll, float(nose_x), np.array([1.0, nose_y, mouth_y]))


def landmark_box(detection: KeypointDetection, fit: LandmarkBoxFit) -> FaceBox:
    """The square around the landmarks of a detected face, as the FaceDetector protocol has it."""
    frame = keypoint_frame(detection.keypoints)
    level = np.array([frame.nose_x * fit.centre_x, frame.terms @ fit.centre_y])
    centre = frame.origin + frame.frame_from_face @ level * frame.unit
    half = float(frame.terms @ fit.side) * frame.unit / 2
    return FaceBox(np.concatenate([centre - half, centre + half]).astype(np.float32), detection.score, frame.roll)


def upright(boxes: Iterable[FaceBox]) -> list[FaceBox]:
    """Those that are not turned further than a detector can judge."""
    return [box for box in boxes if abs(box.roll) <= _MAX_ROLL]
