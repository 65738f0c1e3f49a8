"""Crops: the only file where coordinates change between a frame and a crop. Live and in training alike.

A crop is a square around the landmarks' own box, turned so that the eyes are level. Points are (x, y) with the centre
of the top-left pixel at (0, 0); a pixel's area therefore reaches from -0.5 to +0.5, and a square of side L around a
centre c is seen by a crop of side S as

    frame = c + R(roll) @ ((crop + 0.5) * L / S - L / 2)
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from models.crop_rule import CropRule
from models.landmark_schemes import LandmarkScheme
from tracker.types import FaceBox, FaceCrop, FloatArray, ImageArray, Matrix

# Beyond this many frame pixels a crop pixel, bilinear sampling would alias: blocks of whole pixels are averaged first.
_MAX_BILINEAR_STEP = 2.0


def roll_of_points(points: FloatArray, scheme: LandmarkScheme) -> float:
    """In-plane rotation of a face in radians, from the scheme's level points; 0 where it has none.

    Args:
        points: (K, 2), any frame.
    """
    if scheme.level_points is None:
        return 0.0
    left, right = (points[list(group)].mean(axis=0) for group in scheme.level_points)
    dx, dy = right - left
    return math.atan2(float(dy), float(dx)) if (dx or dy) else 0.0


def box_around_points(points: FloatArray, scheme: LandmarkScheme, score: float = 1.0) -> FaceBox:
    """The square box that a crop is made from: around the points, upright in the face's own, levelled frame.

    Where a scheme's points cover only a part of the face, its ``face_square`` leads from their square to the face's.

    Args:
        points: (K, 2) frame pixels.

    Returns:
        A box whose centre and side are those of the square around the levelled points; ``roll`` tells the turn.
    """
    roll = roll_of_points(points, scheme)
    to_level = _rotation(-roll)
    levelled = points.astype(np.float64) @ to_level.T
    low, high = levelled.min(axis=0), levelled.max(axis=0)
    middle, side = (low + high) / 2, max(float((high - low).max()), 1e-3)
    if scheme.face_square is not None:
        middle += side * np.array([scheme.face_square.right, scheme.face_square.down])
        side *= scheme.face_square.side
    centre, half = _rotation(roll) @ middle, side / 2
    xyxy = np.array([centre[0] - half, centre[1] - half, centre[0] + half, centre[1] + half], dtype=np.float32)
    return FaceBox(xyxy, score, roll)


def bounding_box(points: FloatArray, score: float) -> FaceBox:
    """The plain axis-aligned box of the points, for output and drawing."""
    return FaceBox(np.concatenate([points.min(axis=0), points.max(axis=0)]).astype(np.float32), score)


def frame_from_crop_matrix(box: FaceBox, crop_size: int, rule: CropRule) -> Matrix:
    """(2, 3) matrix from crop pixels (side ``crop_size``) to frame pixels."""
    longer = max(box.width, box.height)
    rotation = _rotation(box.roll if rule.level else 0.0)
    turn = rotation * (longer * rule.margin / crop_size)
    centre = np.array(box.centre) - rotation @ (0.0, longer * rule.lift)
    offset = centre + turn @ np.full(2, 0.5 - crop_size / 2)
    return np.column_stack((turn, offset))


def cut_crop(
    image: ImageArray, frame_from_crop: Matrix, crop_size: int, *, border: int = cv2.BORDER_REPLICATE
) -> FaceCrop:
    """Samples a crop out of an image.

    Args:
        image: (H, W, 3) uint8.
        frame_from_crop: (2, 3), a similarity.
        crop_size: S.
        border: OpenCV's way of continuing the image over its borders; the tracker repeats them.

    Returns:
        The crop, (S, S, 3); outside the image it continues by ``border``, and is black where nothing of the image is
        near.
    """
    height, width = image.shape[:2]
    corners = transform_points(np.array([[-0.5, -0.5], [1, -0.5], [-0.5, 1], [1, 1]]) * crop_size, frame_from_crop)
    x0, y0 = np.floor(corners.min(axis=0)).astype(int) - 1
    x1, y1 = np.ceil(corners.max(axis=0)).astype(int) + 2
    step = math.hypot(frame_from_crop[0, 0], frame_from_crop[1, 0])
    block = int(step) if step > _MAX_BILINEAR_STEP else 1
    x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1 + block - 1, width), min(y1 + block - 1, height)
    if x0 >= x1 or y0 >= y1:
        return FaceCrop(np.zeros((crop_size, crop_size, 3), np.uint8), frame_from_crop)
    region = image[y0:y1, x0:x1]
    region_from_crop = frame_from_crop.copy()
    region_from_crop[:, 2] -= (x0, y0)
    columns, rows = (x1 - x0) // block, (y1 - y0) // block
    if block > 1 and columns and rows:
        # Several times as fast as averaging by the exact step.
        region = region[: rows * block, : columns * block]
        region = np.asarray(cv2.resize(region, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
        region_from_crop /= block
        region_from_crop[:, 2] += 0.5 / block - 0.5
    crop = cv2.warpAffine(
        region,
        region_from_crop,
        (crop_size, crop_size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=border,
    )
    return FaceCrop(np.asarray(crop, dtype=np.uint8), frame_from_crop)


def transform_points(points: np.ndarray, to_from: Matrix) -> np.ndarray:
    """(..., 2) points through a (2, 3) matrix, float64."""
    return np.asarray(points, dtype=np.float64) @ to_from[:, :2].T + to_from[:, 2]


def invert(to_from: Matrix) -> Matrix:
    """The (2, 3) matrix of the opposite direction."""
    inverse = np.linalg.inv(to_from[:, :2])
    return np.column_stack((inverse, -inverse @ to_from[:, 2]))


def _rotation(angle: float) -> Matrix:
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, -s], [s, c]])
