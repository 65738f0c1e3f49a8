"""iBUG's 68 points, as 300-W has them, and their three-dimensional counterpart of 300-W-LP."""

from __future__ import annotations

from dataclasses import replace

from models.landmark_schemes.base import LandmarkScheme, chain, numbered

IBUG_68 = LandmarkScheme(
    name="300w-68",
    point_names=(
        *numbered("jaw", 17),
        *numbered("left_brow", 5),
        *numbered("right_brow", 5),
        *numbered("nose_bridge", 4),
        *numbered("nose_base", 5),
        *numbered("left_eye", 6),
        *numbered("right_eye", 6),
        *numbered("outer_lip", 12),
        *numbered("inner_lip", 8),
    ),
    edges=(
        *chain(0, 16),
        *chain(17, 21),
        *chain(22, 26),
        *chain(27, 30),
        *chain(31, 35),
        *chain(36, 41, closed=True),
        *chain(42, 47, closed=True),
        *chain(48, 59, closed=True),
        *chain(60, 67, closed=True),
    ),
    mirror_pairs=(
        *((i, 16 - i) for i in range(8)),
        *((17 + i, 26 - i) for i in range(5)),
        (31, 35),
        (32, 34),
        *((36 + i, 45 - i) for i in range(4)),
        (40, 47),
        (41, 46),
        (48, 54),
        (49, 53),
        (50, 52),
        (59, 55),
        (58, 56),
        (60, 64),
        (61, 63),
        (67, 65),
    ),
    normaliser=(36, 45),
    level_points=((36, 37, 38, 39, 40, 41), (42, 43, 44, 45, 46, 47)),
    source="Sagonas et al., 300 Faces in-the-Wild Challenge, ICCV-W 2013 (iBUG 68-point mark-up)",
)

# The same points on the surface of a 3D face, projected: the jaw line stays on the bone, where iBUG's follows the
# visible contour. On frontal faces they coincide.
PROJECTED_68 = replace(
    IBUG_68,
    name="300w-lp-68",
    source="Zhu et al., Face Alignment Across Large Poses: A 3D Solution, CVPR 2016 (68 projected 3D points)",
)
