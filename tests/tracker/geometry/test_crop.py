import math
from dataclasses import replace

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.crop_rule import CropRule
from models.landmark_schemes import IBUG_68, FaceSquare, scheme_from_names
from tracker.geometry.crop import (
    box_around_points,
    cut_crop,
    frame_from_crop_matrix,
    invert,
    transform_points,
)
from tracker.types import FaceBox


def box(cx: float, cy: float, side: float, roll: float = 0.0) -> FaceBox:
    half = side / 2
    return FaceBox(np.array([cx - half, cy - half, cx + half, cy + half], np.float32), 1.0, roll)


coordinates = st.floats(-500, 2000)
sides = st.floats(4, 1500)
rolls = st.floats(-math.pi, math.pi)
rules = st.builds(CropRule, st.floats(1, 2), st.floats(0, 0.2), st.booleans())


@given(coordinates, coordinates, sides, rolls, rules, st.sampled_from([128, 256]))
def test_points_come_back_from_the_crop(cx: float, cy: float, side: float, roll: float, rule: CropRule, s: int) -> None:
    matrix = frame_from_crop_matrix(box(cx, cy, side, roll), s, rule)
    points = np.array([[0.0, 0.0], [s - 1, s - 1], [13.7, 99.2]])
    np.testing.assert_allclose(transform_points(transform_points(points, matrix), invert(matrix)), points, atol=1e-6)


@given(coordinates, coordinates, sides, rolls, st.sampled_from([128, 256]))
def test_the_crops_centre_is_the_boxs_centre(cx: float, cy: float, side: float, roll: float, s: int) -> None:
    matrix = frame_from_crop_matrix(box(cx, cy, side, roll), s, CropRule(1.3))
    centre = transform_points(np.full(2, (s - 1) / 2), matrix)
    np.testing.assert_allclose(centre, box(cx, cy, side).centre, atol=1e-3)
    corners = transform_points(np.array([[-0.5, -0.5], [s - 0.5, -0.5]]), matrix)
    np.testing.assert_allclose(np.linalg.norm(corners[1] - corners[0]), 1.3 * side, rtol=1e-3)


@settings(max_examples=40)
@given(st.floats(-1.5, 1.5), st.floats(20, 400), coordinates, coordinates)
def test_the_box_turns_and_moves_with_the_face(roll: float, size: float, dx: float, dy: float) -> None:
    rng = np.random.default_rng(0)
    upright = rng.uniform(-0.5, 0.5, (68, 2))
    upright[36:42] = [-0.2, -0.1]
    upright[42:48] = [0.2, -0.1]
    c, s = math.cos(roll), math.sin(roll)
    points = (upright * size @ np.array([[c, s], [-s, c]]) + (dx, dy)).astype(np.float32)
    found = box_around_points(points, IBUG_68)
    assert abs(found.roll - roll) < 1e-2
    extent = np.ptp(upright, axis=0).max() * size
    assert abs(found.width - extent) < 0.02 * extent + 0.5
    # In the crop the face is upright again, wherever it was.
    crop_points = transform_points(points, invert(frame_from_crop_matrix(found, 128, CropRule(1.0))))
    assert crop_points.min() > -1.5
    assert crop_points.max() < 128.5
    left, right = crop_points[36:42].mean(0), crop_points[42:48].mean(0)
    assert abs(left[1] - right[1]) < 0.5
    assert right[0] > left[0]


@given(st.floats(-1.5, 1.5), st.floats(20, 400), coordinates, coordinates)
def test_the_face_square_turns_and_moves_with_the_points(roll: float, size: float, dx: float, dy: float) -> None:
    eyes = replace(
        scheme_from_names("eyes", ["left_eye", "right_eye"]), face_square=FaceSquare(side=2.5, right=0.1, down=0.4)
    )
    c, s = math.cos(roll), math.sin(roll)
    frame_from_face = np.array([[c, s], [-s, c]]) * size
    points = (np.array([[-0.5, 0.0], [0.5, 0.0]]) @ frame_from_face + (dx, dy)).astype(np.float32)
    found = box_around_points(points, eyes)
    np.testing.assert_allclose(found.width, 2.5 * size, rtol=1e-3, atol=0.01)
    np.testing.assert_allclose(found.centre, np.array([0.1, 0.4]) @ frame_from_face + (dx, dy), rtol=1e-3, atol=0.01)


def test_a_dot_lies_where_the_matrix_says() -> None:
    image = np.zeros((300, 400, 3), np.uint8)
    image[140, 210] = 255
    image = cv2.GaussianBlur(image, (0, 0), 2.0)
    image = (image.astype(np.float32) / image.max() * 255).astype(np.uint8)
    for roll in (0.0, 0.6, -2.0):
        for side in (60, 128, 200, 290):  # 290 * 1.3 is averaged down before it is sampled
            matrix = frame_from_crop_matrix(box(200, 150, side, roll), 128, CropRule(1.3))
            crop = cut_crop(image, matrix, 128).image[..., 0].astype(float)
            ys, xs = np.mgrid[:128, :128]
            found = np.array([(crop * xs).sum(), (crop * ys).sum()]) / crop.sum()
            np.testing.assert_allclose(found, transform_points(np.array([210, 140]), invert(matrix)), atol=0.15)


def test_large_faces_are_averaged_and_not_aliased() -> None:
    stripes = np.zeros((1000, 1000, 3), np.uint8)
    stripes[:, ::2] = 255
    matrix = frame_from_crop_matrix(box(500, 500, 700), 128, CropRule(1.3))
    crop = cut_crop(stripes, matrix, 128).image
    assert abs(float(crop.mean()) - 127.5) < 3
    assert crop.std() < 25


def test_crops_beyond_the_image_are_filled() -> None:
    image = np.full((100, 100, 3), 200, np.uint8)
    inside_and_out = cut_crop(image, frame_from_crop_matrix(box(0, 0, 80), 128, CropRule()), 128)
    assert inside_and_out.image.min() == 200
    far = cut_crop(image, frame_from_crop_matrix(box(-5000, 50, 80), 128, CropRule()), 128)
    assert far.image.max() == 0
    tiny = cut_crop(np.full((1, 1, 3), 90, np.uint8), frame_from_crop_matrix(box(0, 0, 3), 128, CropRule()), 128)
    assert tiny.image.shape == (128, 128, 3)


def test_points_that_coincide_make_a_box_that_can_be_cropped() -> None:
    found = box_around_points(np.full((68, 2), 50, np.float32), IBUG_68)
    assert np.isfinite(frame_from_crop_matrix(found, 128, CropRule())).all()
