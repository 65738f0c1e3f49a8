"""COFW's 29 points: those of LFPW."""

from __future__ import annotations

from models.landmark_schemes.base import LandmarkScheme, mirror_pairs_by_name

_NAMES = (
    "left_brow_outer",
    "right_brow_outer",
    "left_brow_inner",
    "right_brow_inner",
    "left_brow_top",
    "left_brow_bottom",
    "right_brow_top",
    "right_brow_bottom",
    "left_eye_outer",
    "right_eye_outer",
    "left_eye_inner",
    "right_eye_inner",
    "left_eye_top",
    "left_eye_bottom",
    "right_eye_top",
    "right_eye_bottom",
    "left_pupil",
    "right_pupil",
    "nose_left",
    "nose_right",
    "nose_tip",
    "nose_base",
    "mouth_left",
    "mouth_right",
    "upper_lip_top",
    "upper_lip_bottom",
    "lower_lip_top",
    "lower_lip_bottom",
    "chin",
)


def _outline(*points: int) -> tuple[tuple[int, int], ...]:
    return tuple(zip(points, (*points[1:], points[0]), strict=True))


COFW_29 = LandmarkScheme(
    name="cofw-29",
    point_names=_NAMES,
    edges=(
        *_outline(0, 4, 2, 5),
        *_outline(1, 6, 3, 7),
        *_outline(8, 12, 10, 13),
        *_outline(9, 14, 11, 15),
        (18, 20),
        (20, 19),
        (20, 21),
        *_outline(22, 24, 23, 27),
        *_outline(22, 25, 23, 26),
    ),
    mirror_pairs=mirror_pairs_by_name(_NAMES),
    normaliser=(8, 9),
    level_points=((8, 10, 12, 13), (9, 11, 14, 15)),
    source="Burgos-Artizzu et al., Robust Face Landmark Estimation under Occlusion, ICCV 2013",
)
