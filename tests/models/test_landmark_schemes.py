import pytest

from models.errors import FewmarkError
from models.landmark_schemes import IBUG_68, SCHEMES, LandmarkScheme, get_scheme, scheme_from_dict


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=lambda s: s.name)
def test_mirroring_twice_is_the_identity(scheme: LandmarkScheme) -> None:
    order = scheme.mirror_permutation
    assert [order[i] for i in order] == list(range(scheme.num_points))


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=lambda s: s.name)
def test_a_scheme_survives_the_way_through_plain_values(scheme: LandmarkScheme) -> None:
    assert scheme_from_dict(scheme.to_dict()) == scheme


def test_68_points_mirror_left_names_onto_right_names() -> None:
    for a, b in enumerate(IBUG_68.mirror_permutation):
        name, partner = IBUG_68.point_names[a], IBUG_68.point_names[b]
        if name.startswith("left_"):
            assert partner.startswith("right_" + name.split("_")[1])


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
