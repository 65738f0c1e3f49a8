"""Calibration's fit, on landmarks whose errors come out of known probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from models.errors import FewmarkError
from models.landmark_schemes import get_scheme
from training.evaluation.calibration import (
    KNOTS,
    METHODS,
    CalibrationData,
    calibration_data,
    cross_validated,
    fit_calibration,
    pool_adjacent_violators,
    score,
)
from training.evaluation.result import EvaluatedFaces, Evaluation

FACES = 120


def made_up(seed: int = 0, faces: int = FACES) -> Evaluation:
    """Faces whose landmarks are right with probability confidence squared on the jaw, its root elsewhere.

    Landmark 30 is worse than its part, and one face was not found.
    """
    rng = np.random.default_rng(seed)
    ease = rng.uniform(0.3, 1.0, (faces, 1))  # a face's landmarks are good or bad together
    confidence = np.clip(ease + rng.normal(0, 0.1, (faces, 68)), 0.02, 0.98)
    right = np.where(np.arange(68) < 17, confidence**2, np.sqrt(confidence))
    right[:, 30] = confidence[:, 30] / 3
    error = np.where(rng.uniform(size=right.shape) < right, 0.02, 0.2)
    points = np.repeat(rng.uniform(0, 100, (1, 68, 2)), faces, axis=0).astype(np.float32)
    points[:, 36], points[:, 45] = (0, 0), (100, 0)
    predicted = points + np.stack([100 * error, np.zeros_like(error)], axis=-1).astype(np.float32)
    predicted[0], confidence[0] = np.inf, 0.0
    names = tuple(f"{i}.jpg" for i in range(faces))
    return Evaluation(
        model="m",
        dataset="300w",
        subset="validation",
        crops="detector",
        backend="eager",
        scheme=get_scheme("300w-68"),
        normaliser="outer-eyes",
        faces=EvaluatedFaces(
            names,
            names,
            ("afw",) * faces,
            ((),) * faces,
            points,
            np.ones((faces, 68), bool),
            np.full((faces, 4), np.nan, np.float32),
        ),
        predicted=predicted,
        confidence=confidence.astype(np.float32),
        confidence_meaning="raw",
    )


@pytest.fixture(scope="module")
def data() -> CalibrationData:
    return calibration_data(made_up())


def test_what_counts_as_right(data: CalibrationData) -> None:
    assert not data.known[0].any()
    assert data.known[1:].all()
    assert 0.3 < data.correct[data.known].mean() < 0.8


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_rising_curves(method: str, data: CalibrationData) -> None:
    curves = METHODS[method](data)
    assert curves.shape == (68, len(KNOTS))
    assert (np.diff(curves, axis=1) >= 0).all()
    assert (curves[:, 0] == 0).all()
    assert (curves[:, -1] == 1).all()


@pytest.mark.parametrize("method", ["platt by part", "platt by landmark", "isotonic by part"])
def test_the_curves_find_the_probabilities_that_made_the_errors(method: str, data: CalibrationData) -> None:
    curves = METHODS[method](data)
    inside = (KNOTS >= 0.4) & (KNOTS <= 0.9)
    assert np.abs(curves[:17, inside] - KNOTS[inside] ** 2).mean() < 0.05
    assert np.abs(curves[36:48, inside] - np.sqrt(KNOTS[inside])).mean() < 0.05


def test_a_landmark_worse_than_its_part_is_told_apart(data: CalibrationData) -> None:
    at = int(np.flatnonzero(KNOTS == 0.7)[0])
    by_part, by_landmark = (METHODS[name](data)[:, at] for name in ("platt by part", "platt by landmark"))
    assert by_part[30] == by_part[31]
    assert by_landmark[30] < by_landmark[31] - 0.2


def test_held_out_faces_are_calibrated_by_a_fit_to_others(data: CalibrationData) -> None:
    raw = score("raw", data, data.confidence)
    fitted = score("platt by part", data, cross_validated(METHODS["platt by part"], data))
    assert fitted.calibration_error < 0.05 < raw.calibration_error
    assert fitted.log_loss < raw.log_loss
    assert fitted.worst_part_error >= fitted.calibration_error

    def flips_what_it_saw(seen: CalibrationData) -> np.ndarray:
        assert seen.known.any(axis=1).sum() < FACES - 1
        return np.repeat(KNOTS[None], 68, axis=0)

    np.testing.assert_allclose(cross_validated(flips_what_it_saw, data), data.confidence, atol=1e-9)


def test_faces_of_one_photo_are_held_out_together(data: CalibrationData) -> None:
    pairs = tuple(str(i // 2) for i in range(FACES))
    together = CalibrationData(data.confidence, data.correct, data.known, pairs, data.parts)

    def check(seen: CalibrationData) -> np.ndarray:
        assert all(seen.photos.count(photo) == 2 for photo in set(seen.photos))
        return np.repeat(KNOTS[None], 68, axis=0)

    cross_validated(check, together)


def test_the_best_method_is_taken_and_reported() -> None:
    fit = fit_calibration(made_up())
    assert [s.log_loss for s in fit.scores] == sorted(s.log_loss for s in fit.scores)
    assert {s.method for s in fit.scores} == set(METHODS)
    calibration = fit.calibration
    assert calibration.method == fit.scores[0].method
    assert calibration.normaliser == "outer-eyes"
    assert calibration.fitted_on["data"] == "300w validation"
    assert calibration.fitted_on["faces"] == FACES - 1
    assert calibration.fitted_on["calibration_error"] < 0.05 < calibration.fitted_on["calibration_error_before"]

    unseen = made_up(seed=1)
    calibrated = score("", calibration_data(unseen), calibration.apply(unseen.confidence).astype(np.float64))
    assert calibrated.calibration_error < 0.05


def test_too_little_to_fit() -> None:
    with pytest.raises(FewmarkError, match="20 photos are too few"):
        fit_calibration(made_up(faces=20))
    perfect = made_up()
    perfect.predicted[:] = perfect.faces.points
    with pytest.raises(FewmarkError, match="all errors lie on one side"):
        fit_calibration(perfect)


def test_pooling_by_hand() -> None:
    pooled = pool_adjacent_violators(np.array([1.0, 3.0, 2.0, 0.0, 5.0]), np.array([1.0, 1.0, 1.0, 2.0, 1.0]))
    np.testing.assert_allclose(pooled, [1, 1.25, 1.25, 1.25, 5])
