from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import FewmarkError
from models.landmark_schemes import (
    AFLW_19,
    AFLW_21,
    COFW_29,
    IBUG_68,
    SCHEMES,
    WFLW_98,
    LandmarkScheme,
    get_scheme,
    mirror_pairs_by_name,
    scheme_from_dict,
    scheme_from_names,
)

MEAN_FACES = json.loads((Path(__file__).parent / "mean_faces.json").read_text())
every_scheme = pytest.mark.parametrize("scheme", SCHEMES.values(), ids=lambda s: s.name)
with_mean_face = pytest.mark.parametrize("scheme", [WFLW_98, AFLW_19, COFW_29], ids=lambda s: s.name)


def mean_face(scheme: LandmarkScheme) -> np.ndarray:
    return np.array(MEAN_FACES[scheme.name])


def distance_to_mirror_image(points: np.ndarray, order: tuple[int, ...], scheme: LandmarkScheme) -> float:
    """Largest distance of a point to its place in the mirrored face, in units of the normaliser."""
    z = points[:, 0] + 1j * points[:, 1]
    mirrored = -z[list(order)].conj()
    z, mirrored = z - z.mean(), mirrored - mirrored.mean()
    turn = np.vdot(mirrored, z) / np.vdot(mirrored, mirrored)
    assert scheme.normaliser is not None
    a, b = scheme.normaliser
    return float(np.abs(turn * mirrored - z).max() / abs(z[a] - z[b]))


@every_scheme
def test_mirroring_twice_is_the_identity(scheme: LandmarkScheme) -> None:
    order = scheme.mirror_permutation
    assert [order[i] for i in order] == list(range(scheme.num_points))


@with_mean_face
def test_a_mean_face_is_its_own_mirror_image(scheme: LandmarkScheme) -> None:
    points = mean_face(scheme)
    assert points.shape == (scheme.num_points, 2)
    assert distance_to_mirror_image(points, scheme.mirror_permutation, scheme) < 0.06


@with_mean_face
def test_any_pair_left_out_would_show(scheme: LandmarkScheme) -> None:
    points = mean_face(scheme)
    for a, b in scheme.mirror_pairs:
        order = list(scheme.mirror_permutation)
        order[a], order[b] = a, b
        assert distance_to_mirror_image(points, tuple(order), scheme) > 0.1


@with_mean_face
def test_points_without_a_partner_lie_on_the_middle_line(scheme: LandmarkScheme) -> None:
    points = mean_face(scheme)
    alone = [i for i, partner in enumerate(scheme.mirror_permutation) if i == partner]
    middle = points[np.array(scheme.mirror_pairs)].mean(axis=(0, 1))[0]
    assert np.abs(points[alone, 0] - middle).max() < 0.03


@with_mean_face
def test_left_and_right_are_the_images(scheme: LandmarkScheme) -> None:
    points = mean_face(scheme)
    assert scheme.normaliser is not None
    assert scheme.level_points is not None
    for left, right in (scheme.normaliser, scheme.level_points):
        assert points[left, 0].mean() < points[right, 0].mean()
    for name, x in zip(scheme.point_names, points[:, 0], strict=True):
        if name.startswith(("left_", "right_")):
            assert (x < points[:, 0].mean()) == name.startswith("left_"), name


@with_mean_face
def test_the_normaliser_is_the_outer_eye_corners(scheme: LandmarkScheme) -> None:
    points, eyes = mean_face(scheme), [i for i, name in enumerate(scheme.point_names) if "_eye_" in name]
    leftmost, rightmost = (eyes[pick(points[eyes, 0])] for pick in (np.argmin, np.argmax))
    assert scheme.normaliser == (leftmost, rightmost)


@every_scheme
def test_contours_stay_in_their_part_of_the_face(scheme: LandmarkScheme) -> None:
    assert scheme.edges
    for a, b in scheme.edges:
        parts = [scheme.point_names[i].removeprefix("left_").removeprefix("right_").split("_")[0] for i in (a, b)]
        assert parts[0] == parts[1] or set(parts) <= {"mouth", "upper", "lower"}


@every_scheme
def test_contours_are_symmetric(scheme: LandmarkScheme) -> None:
    order = scheme.mirror_permutation
    edges = {frozenset(edge) for edge in scheme.edges}
    assert edges == {frozenset((order[a], order[b])) for a, b in scheme.edges}


@every_scheme
def test_a_scheme_survives_the_way_through_plain_values(scheme: LandmarkScheme) -> None:
    assert scheme_from_dict(json.loads(json.dumps(scheme.to_dict()))) == scheme


def test_68_points_mirror_left_names_onto_right_names() -> None:
    for a, b in enumerate(IBUG_68.mirror_permutation):
        name, partner = IBUG_68.point_names[a], IBUG_68.point_names[b]
        if name.startswith("left_"):
            assert partner.startswith("right_" + name.split("_")[1])


def test_aflw_with_ears_holds_aflw_without() -> None:
    assert [name for name in AFLW_21.point_names if "ear" not in name.split("_")] == list(AFLW_19.point_names)
    assert (12, 16) in AFLW_21.mirror_pairs


def test_names_of_ones_own_tell_mirror_pairs_and_eyes() -> None:
    scheme = scheme_from_names("mine", ["Left eye", "Right eye", "left brow", "right brow", "nose", "left mole"])
    assert scheme.mirror_pairs == ((0, 1), (2, 3))
    assert scheme.level_points == ((0,), (1,))
    for known in (AFLW_19, AFLW_21):
        assert scheme_from_names("again", known.point_names).level_points == known.level_points
    plain = scheme_from_names("plain", ["a", "b"])
    assert plain.mirror_pairs == ()
    assert plain.level_points is None


@settings(deadline=None)
@given(st.lists(st.text("leftrighLTEFRIGH_ 1", min_size=1, max_size=12), min_size=1, max_size=8, unique=True))
def test_pairs_by_name_always_make_a_scheme(names: list[str]) -> None:
    pairs = mirror_pairs_by_name(names)
    order = LandmarkScheme("any", tuple(names), mirror_pairs=pairs).mirror_permutation
    assert [order[i] for i in order] == list(range(len(names)))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"point_names": ("a", "a")}, "unique"),
        ({"edges": ((0, 2),)}, "outside"),
        ({"mirror_pairs": ((0, 1), (1, 0))}, "more than one"),
    ],
)
def test_an_inconsistent_scheme_is_refused(change: dict, problem: str) -> None:
    with pytest.raises(FewmarkError, match=problem):
        LandmarkScheme(**{"name": "bad", "point_names": ("a", "b"), **change})


def test_an_unknown_scheme_names_the_known_ones() -> None:
    with pytest.raises(FewmarkError, match="300w-68"):
        get_scheme("nothing")


def test_unreadable_plain_values_are_refused() -> None:
    with pytest.raises(FewmarkError, match="not readable"):
        scheme_from_dict({"name": "bad"})
