"""WFLW's 98 points."""

from __future__ import annotations

from models.landmark_schemes.base import LandmarkScheme, chain, numbered

WFLW_98 = LandmarkScheme(
    name="wflw-98",
    point_names=(
        *numbered("jaw", 33),
        *numbered("left_brow", 9),  # a closed outline: 5 along its upper edge, 4 back along the lower
        *numbered("right_brow", 9),
        *numbered("nose_bridge", 4),
        *numbered("nose_base", 5),
        *numbered("left_eye", 8),
        *numbered("right_eye", 8),
        *numbered("outer_lip", 12),
        *numbered("inner_lip", 8),
        "left_pupil",
        "right_pupil",
    ),
    edges=(
        *chain(0, 32),
        *chain(33, 41, closed=True),
        *chain(42, 50, closed=True),
        *chain(51, 54),
        *chain(55, 59),
        *chain(60, 67, closed=True),
        *chain(68, 75, closed=True),
        *chain(76, 87, closed=True),
        *chain(88, 95, closed=True),
    ),
    mirror_pairs=(
        *((i, 32 - i) for i in range(16)),
        *((33 + i, 46 - i) for i in range(5)),
        *((38 + i, 50 - i) for i in range(4)),
        (55, 59),
        (56, 58),
        *((60 + i, 72 - i) for i in range(5)),
        (65, 75),
        (66, 74),
        (67, 73),
        (76, 82),
        (77, 81),
        (78, 80),
        (87, 83),
        (86, 84),
        (88, 92),
        (89, 91),
        (95, 93),
        (96, 97),
    ),
    normaliser=(60, 72),
    level_points=(tuple(range(60, 68)), tuple(range(68, 76))),
    source="Wu et al., Look at Boundary: A Boundary-Aware Face Alignment Algorithm, CVPR 2018",
)
