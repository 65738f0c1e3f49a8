"""Pixels that are not square: the only file where coordinates change between a frame and the file that it comes from.

A pixel aspect is the width of the file's pixels over their height. Frames have square pixels: where the file's are wide
a frame is stretched to the side, where they are tall downwards, so that nothing is lost. Tables hold the file's own
pixels, as other readers of the file count them. By the half-pixel rule, with s the stretch along an axis,

    frame = (file + 0.5) * s - 0.5
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction

import numpy as np

from tracker.geometry.crop import invert, transform_points
from tracker.types import FaceBox, Frame, Matrix, TrackedFace, TrackingResult

# Nearer to 1 it is what a scaler's rounding left, and not worth resampling; further away, the header is damaged.
_LEAST_STRETCH, _MOST_STRETCH = 1.01, 8.0


def believed_aspect(stated: Fraction | None) -> Fraction:
    """The pixel aspect to reckon with where a file states this one; 1 where it says nothing of use."""
    if not stated or stated < 0 or not _LEAST_STRETCH <= max(stated, 1 / stated) <= _MOST_STRETCH:
        return Fraction(1)
    return stated


def square_size(width: int, height: int, pixel_aspect: Fraction) -> tuple[int, int]:
    """Width and height in square pixels, of an image of so many pixels of this aspect."""
    if pixel_aspect >= 1:
        return round(width * pixel_aspect), height
    return width, round(height / pixel_aspect)


def file_from_frame(pixel_aspect: float) -> Matrix:
    """(2, 3) matrix from the square pixels of a frame to the pixels of its file."""
    scale = np.array([1 / max(pixel_aspect, 1.0), min(pixel_aspect, 1.0)])
    return np.column_stack((np.diag(scale), 0.5 * scale - 0.5))


def in_file_pixels(result: TrackingResult) -> tuple[TrackedFace, ...]:
    """The faces of a result as tables hold them."""
    aspect = result.frame.pixel_aspect
    return result.faces if aspect == 1 else _moved(result.faces, file_from_frame(aspect))


def in_frame_pixels(faces: Iterable[TrackedFace], frame: Frame) -> tuple[TrackedFace, ...]:
    """Faces out of a table as they lie in a frame of the same file."""
    aspect = frame.pixel_aspect
    return tuple(faces) if aspect == 1 else _moved(faces, invert(file_from_frame(aspect)))


def _moved(faces: Iterable[TrackedFace], to_from: Matrix) -> tuple[TrackedFace, ...]:
    def moved(face: TrackedFace) -> TrackedFace:
        corners = transform_points(face.box.xyxy.reshape(2, 2), to_from)
        turn, shift = to_from[:, :2] @ face.frame_from_crop, to_from[:, 2]
        turn[:, 2] += shift
        return replace(
            face,
            points=transform_points(face.points, to_from).astype(np.float32),
            box=FaceBox(corners.reshape(4).astype(np.float32), face.box.score, face.box.roll),
            frame_from_crop=turn,
        )

    return tuple(moved(face) for face in faces)
