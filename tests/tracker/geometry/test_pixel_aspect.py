"""Frames in square pixels and the files that they come from."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.geometry.crop import invert, transform_points
from tracker.geometry.pixel_aspect import (
    believed_aspect,
    file_from_frame,
    in_file_pixels,
    in_frame_pixels,
    square_size,
)
from tracker.types import FaceBox, Frame, TrackedFace, TrackingResult


def face_of(points: np.ndarray) -> TrackedFace:
    box = FaceBox(np.concatenate([points.min(0), points.max(0)]).astype(np.float32), 0.5)
    matrix = np.array([[0.6, -0.2, 30.0], [0.2, 0.6, 10.0]])
    return TrackedFace(3, points.astype(np.float32), np.full(len(points), 0.5, np.float32), box, matrix, 64)


@pytest.mark.parametrize(
    ("stored", "aspect", "square"),
    [
        ((720, 576), Fraction(16, 15), (768, 576)),
        ((720, 576), Fraction(64, 45), (1024, 576)),
        ((1440, 1080), Fraction(4, 3), (1920, 1080)),
        ((720, 480), Fraction(8, 9), (720, 540)),
        ((320, 360), Fraction(2), (640, 360)),
        ((640, 360), Fraction(1), (640, 360)),
    ],
)
def test_frames_are_stretched_to_their_display_shape(
    stored: tuple[int, int], aspect: Fraction, square: tuple[int, int]
) -> None:
    assert square_size(*stored, aspect) == square


@pytest.mark.parametrize(
    "stated", [None, Fraction(0), Fraction(-1), Fraction(1, 100), Fraction(4095, 4096), Fraction(99)]
)
def test_what_can_not_be_meant_counts_as_square(stated: Fraction | None) -> None:
    assert believed_aspect(stated) == 1


@given(st.fractions(Fraction(1, 8), 8), st.integers(2, 4000), st.integers(2, 4000))
def test_corners_of_the_frame_are_corners_of_the_file(aspect: Fraction, width: int, height: int) -> None:
    square = square_size(width, height, aspect)
    done = square[0] * height / (square[1] * width)
    corners = np.array([[-0.5, -0.5], [square[0] - 0.5, square[1] - 0.5]])
    found = transform_points(corners, file_from_frame(done))
    np.testing.assert_allclose(found, [[-0.5, -0.5], [width - 0.5, height - 0.5]], atol=1e-6)


@pytest.mark.parametrize("aspect", [2.0, 0.75])
def test_faces_come_back_from_the_table_as_they_were(aspect: float) -> None:
    face = face_of(np.random.default_rng(0).uniform(0, 300, (5, 2)))
    frame = Frame(np.zeros((1, 1, 3), np.uint8), 0, 0.0, pixel_aspect=aspect)
    (stored,) = in_file_pixels(TrackingResult(frame, (face,)))
    (again,) = in_frame_pixels([stored], frame)
    np.testing.assert_allclose(again.points, face.points, atol=1e-4)
    np.testing.assert_allclose(again.box.xyxy, face.box.xyxy, atol=1e-4)
    np.testing.assert_allclose(again.frame_from_crop, face.frame_from_crop, atol=1e-9)
    # The crop's centre lies where it lay: its path through the file is the same.
    centre = np.array([[31.5, 31.5]])
    in_file = transform_points(centre, stored.frame_from_crop)
    in_frame = transform_points(in_file, invert(file_from_frame(aspect)))
    np.testing.assert_allclose(in_frame, transform_points(centre, face.frame_from_crop), atol=1e-9)
    assert stored.box.score == face.box.score
    low, high = stored.points.min(0), stored.points.max(0)
    np.testing.assert_allclose(stored.box.xyxy, np.concatenate([low, high]), atol=1e-4)


def test_square_pixels_are_left_alone() -> None:
    face = face_of(np.zeros((2, 2)))
    result = TrackingResult(Frame(np.zeros((1, 1, 3), np.uint8), 0, 0.0), (face,))
    assert in_file_pixels(result)[0] is face
