from __future__ import annotations

import numpy as np
import pytest

from models.errors import FewmarkError
from models.landmark_schemes import SCHEMES, get_scheme
from models.landmark_schemes.base import LandmarkScheme
from training.evaluation.metrics import expected_calibration_error, face_parts, nme_per_face, point_errors, reliability
from training.evaluation.normalisers import NORMALISERS, LabelledFaces, default_normaliser, normalising_lengths


def face_300w() -> np.ndarray:
    """(1, 68, 2): a box of 200 x 160 px, outer eye corners 100 px apart, eye centres 60 px."""
    points = np.full((68, 2), (100.0, 80.0), np.float32)
    points[0], points[16], points[8] = (0, 40), (200, 0), (100, 160)
    points[36:42], points[42:48] = (70, 50), (130, 50)
    points[[36, 39]] = (50, 50), (90, 50)
    points[[45, 42]] = (150, 50), (110, 50)
    return points[None]


def lengths(normaliser: str | None, **changes: np.ndarray) -> float:
    points = face_300w()
    visible = np.ones((1, 68), bool)
    faces = LabelledFaces(points, changes.get("visible", visible), get_scheme("300w-68"), changes.get("boxes"))
    return float(normalising_lengths(faces, normaliser)[0])


@pytest.mark.parametrize(
    ("normaliser", "expected"),
    [
        ("outer-eyes", 100.0),
        ("pupils", 60.0),
        ("box-diagonal", np.hypot(200, 160)),
        ("box-geometric-mean", np.sqrt(200 * 160)),
        ("box-width", 200.0),
        ("face-size", 180.0),
        (None, 100.0),
    ],
)
def test_every_normaliser_by_hand(normaliser: str | None, expected: float) -> None:
    assert lengths(normaliser) == pytest.approx(expected)


def test_the_data_sets_own_box_is_taken_where_it_has_one() -> None:
    own = np.array([[0, 0, 300, 100]], np.float32)
    assert lengths("box-width", boxes=own) == 300
    assert lengths("box-width", boxes=np.full((1, 4), np.nan, np.float32)) == 200
    assert lengths("face-size", boxes=own) == 180  # is always around the landmarks


def test_what_is_not_labelled_gives_no_length() -> None:
    visible = np.ones((1, 68), bool)
    visible[0, 36] = False
    assert np.isnan(lengths("outer-eyes", visible=visible))
    assert np.isnan(lengths("pupils", visible=visible))
    assert lengths("box-width", visible=visible) == 200
    visible[0, 16] = False
    assert lengths("box-width", visible=visible) == 150
    assert np.isnan(lengths("box-width", visible=np.zeros((1, 68), bool)))


@pytest.mark.parametrize("name", SCHEMES)
def test_every_scheme_has_a_default_normaliser_and_known_parts(name: str) -> None:
    scheme = get_scheme(name)
    points = np.random.default_rng(0).uniform(0, 100, (2, scheme.num_points, 2)).astype(np.float32)
    faces = LabelledFaces(points, np.ones(points.shape[:2], bool), scheme)
    for normaliser in (default_normaliser(scheme), "pupils", "face-size"):
        assert (normalising_lengths(faces, normaliser) > 0).all()
    parts = face_parts(scheme)
    assert {"jaw", "brows", "nose", "eyes", "mouth"} <= parts.keys()
    assert sorted(i for members in parts.values() for i in members) == list(range(scheme.num_points))
    assert all("brow" not in scheme.point_names[i] for i in parts["eyes"])


def test_a_scheme_without_eyes() -> None:
    hand = LandmarkScheme("hand", ("wrist", "thumb"))
    faces = LabelledFaces(np.array([[[0, 0], [30, 40]]], np.float32), np.ones((1, 2), bool), hand)
    assert default_normaliser(hand) == "box-geometric-mean"
    assert normalising_lengths(faces)[0] == pytest.approx(np.sqrt(30 * 40))
    assert face_parts(hand) == {"other": (0, 1)}
    for normaliser in ("outer-eyes", "pupils"):
        with pytest.raises(FewmarkError, match="scheme hand"):
            normalising_lengths(faces, normaliser)
    with pytest.raises(FewmarkError, match=f"'nose' is unknown; choose one of {', '.join(NORMALISERS)}"):
        normalising_lengths(faces, "nose")


def test_a_face_without_a_length_has_no_error_and_a_missed_one_an_infinite_one() -> None:
    truth = np.repeat(face_300w(), 3, axis=0)
    predicted = truth + np.array([3, 4], np.float32)
    predicted[2] = np.inf
    visible = np.ones((3, 68), bool)
    visible[1, 45] = False
    nme = nme_per_face(point_errors(predicted, truth, visible, get_scheme("300w-68")))
    assert nme[0] == pytest.approx(0.05)
    assert np.isnan(nme[1])
    assert np.isinf(nme[2])


def test_calibration_error_by_hand() -> None:
    confidence = np.array([0.1, 0.1, 0.9, 0.9, 0.9, 0.9])
    correct = np.array([0, 1, 1, 1, 1, 0])
    low, high = reliability(confidence, correct)
    assert (low.count, low.share_correct, high.count, high.share_correct) == (2, 0.5, 4, 0.75)
    assert expected_calibration_error(confidence, correct) == pytest.approx((2 * 0.4 + 4 * 0.15) / 6)


def test_probabilities_that_come_true_have_no_calibration_error() -> None:
    rng = np.random.default_rng(1)
    confidence = rng.uniform(0, 1, 200_000)
    correct = rng.uniform(0, 1, 200_000) < confidence
    assert expected_calibration_error(confidence, correct) < 0.005
    assert expected_calibration_error(confidence**3, correct) > 0.2
    assert expected_calibration_error(np.ones(4), np.ones(4)) == 0
