"""AFLW's 21 points, in the order of the database's ``feature_id``, and the 19 of them that papers use: without ears."""

from __future__ import annotations

from models.landmark_schemes.base import LandmarkScheme, chain, mirror_pairs_by_name

_NAMES_21 = (
    "left_brow_left_corner",
    "left_brow_center",
    "left_brow_right_corner",
    "right_brow_left_corner",
    "right_brow_center",
    "right_brow_right_corner",
    "left_eye_left_corner",
    "left_eye_center",
    "left_eye_right_corner",
    "right_eye_left_corner",
    "right_eye_center",
    "right_eye_right_corner",
    "left_ear",
    "nose_left",
    "nose_center",
    "nose_right",
    "right_ear",
    "mouth_left_corner",
    "mouth_center",
    "mouth_right_corner",
    "chin_center",
)
_NAMES_19 = tuple(name for name in _NAMES_21 if not name.endswith("_ear"))
_BROWS_AND_EYES = (*chain(0, 2), *chain(3, 5), *chain(6, 8), *chain(9, 11))

AFLW_21 = LandmarkScheme(
    name="aflw-21",
    point_names=_NAMES_21,
    edges=(*_BROWS_AND_EYES, *chain(13, 15), *chain(17, 19)),
    mirror_pairs=mirror_pairs_by_name(_NAMES_21),
    normaliser=(6, 11),
    level_points=((6, 7, 8), (9, 10, 11)),
    source="Koestinger et al., Annotated Facial Landmarks in the Wild, ICCV-W 2011",
)

AFLW_19 = LandmarkScheme(
    name="aflw-19",
    point_names=_NAMES_19,
    edges=(*_BROWS_AND_EYES, *chain(12, 14), *chain(15, 17)),
    mirror_pairs=mirror_pairs_by_name(_NAMES_19),
    normaliser=(6, 11),
    level_points=((6, 7, 8), (9, 10, 11)),
    source="Zhu et al., Unconstrained Face Alignment via Cascaded Compositional Learning, CVPR 2016 (no ears)",
)
