"""Fits a model's confidence calibration: several ways, compared on faces that the fit has not seen.

Validation sets are small (182 faces of 300-W), and a face's landmarks are wrong together: ways with much freedom
overfit. So the way with the least cross-validated log loss is taken, and its cross-validated error is what is reported.

Legend: N faces, K landmarks, M knots.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch.nn import functional as F

from models.decoding.calibration import ConfidenceCalibration
from models.errors import FewmarkError
from models.files.safetensors_file import halved
from training.evaluation.metrics import WITHIN, expected_calibration_error, face_parts
from training.evaluation.result import Evaluation

Array = NDArray[np.float64]

FOLDS = 10
MIN_PHOTOS = 4 * FOLDS  # with fewer, a fold's error says little
KNOTS: Array = np.array([0, *np.arange(0.05, 0.9, 0.05), *np.arange(0.9, 0.99, 0.02), 0.99, 1]).round(3)
_OFFSET_PRIOR = 10.0  # how firmly a landmark's own offset is held to that of its part: one over its variance
_BINS = 25  # of equally many landmarks, before isotonic regression: single ones would make steps of noise
_MIN_PER_BIN = 40
_SEED = 0


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationData:
    """Raw confidences of faces that the network was not trained on, and whether the errors were small."""

    confidence: Array  # (N, K) 0..1
    correct: NDArray[np.bool_]  # (N, K) error below WITHIN
    known: NDArray[np.bool_]  # (N, K) False: not labelled, or the face was not found
    photos: tuple[str, ...]  # (N,) faces of one photo share it
    parts: tuple[tuple[int, ...], ...]  # landmarks of each part of the face

    def of_faces(self, faces: NDArray[np.bool_]) -> CalibrationData:
        """Those of some faces, (N,) bool."""
        photos = tuple(photo for photo, chosen in zip(self.photos, faces.tolist(), strict=True) if chosen)
        return CalibrationData(self.confidence[faces], self.correct[faces], self.known[faces], photos, self.parts)


def calibration_data(evaluation: Evaluation) -> CalibrationData:
    """What an evaluation, made without calibration, says of confidence and error."""
    errors = evaluation.errors()
    return CalibrationData(
        confidence=evaluation.confidence.astype(np.float64),
        correct=errors < WITHIN,
        known=np.isfinite(errors),
        photos=evaluation.faces.photos,
        parts=tuple(face_parts(evaluation.scheme).values()),
    )


Fit = Callable[[CalibrationData], Array]  # (K, M): every landmark's curve over KNOTS


def fit_temperature(data: CalibrationData) -> Array:
    """One factor on the logit of all confidences. Guo et al., ICML 2017, section 4.2."""
    return _fit_logistic(_pooled(data), offset=False)


def fit_platt(data: CalibrationData) -> Array:
    """One factor and one offset on the logit of all confidences. Platt, 1999."""
    return _fit_logistic(_pooled(data))


def fit_platt_by_part(data: CalibrationData) -> Array:
    """A factor and an offset for each part of the face."""
    return _fit_logistic(data)


def fit_platt_by_landmark(data: CalibrationData) -> Array:
    """As by part, with an offset for each landmark too, held to its part's by a Gaussian prior."""
    return _fit_logistic(data, landmark_offsets=True)


def fit_isotonic(data: CalibrationData) -> Array:
    """One rising curve of any form for all confidences. Zadrozny and Elkan, KDD 2002."""
    return fit_isotonic_by_part(_pooled(data))


def fit_isotonic_by_part(data: CalibrationData) -> Array:
    """A rising curve of any form for each part of the face."""
    curves = np.empty((data.confidence.shape[1], len(KNOTS)))
    for part in map(list, data.parts):
        known = data.known[:, part]
        curves[part] = _isotonic_curve(data.confidence[:, part][known], data.correct[:, part][known])
    return curves


METHODS: dict[str, Fit] = {
    "temperature": fit_temperature,
    "platt": fit_platt,
    "platt by part": fit_platt_by_part,
    "platt by landmark": fit_platt_by_landmark,
    "isotonic": fit_isotonic,
    "isotonic by part": fit_isotonic_by_part,
}


@dataclass(frozen=True, slots=True)
class MethodScore:
    """How a way of calibrating does on faces that its fit has not seen."""

    method: str
    log_loss: float
    calibration_error: float  # ECE over all landmarks
    worst_part_error: float  # the largest ECE over the landmarks of one part of the face


@dataclass(frozen=True, slots=True)
class CalibrationFit:
    """The calibration, and what was compared to find it."""

    calibration: ConfidenceCalibration
    raw: MethodScore  # of the confidences as they were
    scores: tuple[MethodScore, ...]  # of every method, the best first; cross-validated


def fit_calibration(evaluation: Evaluation) -> CalibrationFit:
    """The method with the least cross-validated log loss, fitted to all faces.

    Args:
        evaluation: of a model without calibration, on faces that it was not trained on, through the whole pipeline.

    Raises:
        FewmarkError: too few faces, or they are all right or all wrong.
    """
    data = calibration_data(evaluation)
    photos = len(set(data.photos))
    if photos < MIN_PHOTOS:
        raise FewmarkError(f"calibration: {photos} photos are too few, {MIN_PHOTOS} are needed; pass more data")
    if data.correct[data.known].all() or not data.correct[data.known].any():
        raise FewmarkError("calibration: all errors lie on one side of the limit, so there is nothing to fit")
    methods = track(METHODS.items(), "calibrating", transient=True, console=Console(stderr=True))
    scores = [score(name, data, cross_validated(fit, data)) for name, fit in methods]
    best, *_ = scores = sorted(scores, key=lambda s: s.log_loss)
    raw = score("raw", data, data.confidence)
    curves, curve_of_landmark = np.unique(METHODS[best.method](data).round(4), axis=0, return_inverse=True)
    calibration = ConfidenceCalibration(
        knots=tuple(KNOTS.tolist()),
        curves=tuple(map(tuple, curves.tolist())),
        curve_of_landmark=tuple(curve_of_landmark.ravel().tolist()),
        within=WITHIN,
        normaliser=evaluation.normaliser,
        method=best.method,
        fitted_on={
            "data": f"{evaluation.dataset} {evaluation.subset}",
            "faces": int(data.known.any(axis=1).sum()),
            "landmarks": int(data.known.sum()),
            "calibration_error": round(best.calibration_error, 4),
            "calibration_error_before": round(raw.calibration_error, 4),
            "folds": FOLDS,
        },
    )
    return CalibrationFit(calibration, raw, tuple(scores))


def cross_validated(fit: Fit, data: CalibrationData) -> Array:
    """(N, K) confidences, each calibrated by a fit to the other folds' photos."""
    calibrated = np.zeros_like(data.confidence)
    for held_out in _folds(data.photos):
        curves = fit(data.of_faces(~held_out))
        for landmark, curve in enumerate(curves):
            calibrated[held_out, landmark] = np.interp(data.confidence[held_out, landmark], KNOTS, curve)
    return calibrated


def score(method: str, data: CalibrationData, calibrated: Array) -> MethodScore:
    """Log loss and calibration errors of (N, K) confidences as probabilities of a small error."""
    p, correct = np.clip(calibrated[data.known], 1e-4, 1 - 1e-4), data.correct[data.known]
    parts = [
        expected_calibration_error(calibrated[:, part][known], data.correct[:, part][known])
        for part in map(list, data.parts)
        if (known := data.known[:, part]).any()
    ]
    return MethodScore(
        method=method,
        log_loss=float(-np.where(correct, np.log(p), np.log(1 - p)).mean()),
        calibration_error=expected_calibration_error(calibrated[data.known], correct),
        worst_part_error=max(parts),
    )


def _folds(photos: tuple[str, ...]) -> Iterator[NDArray[np.bool_]]:
    """(N,) bool of the faces held out in each fold; faces of one photo stay together."""
    unique = sorted(set(photos))
    order = np.random.default_rng(_SEED).permutation(len(unique))
    fold_of = {photo: fold % FOLDS for photo, fold in zip(unique, order.tolist(), strict=True)}
    folds = np.array([fold_of[photo] for photo in photos])
    for fold in range(FOLDS):
        yield folds == fold


def _pooled(data: CalibrationData) -> CalibrationData:
    everything = tuple(range(data.confidence.shape[1]))
    return CalibrationData(data.confidence, data.correct, data.known, data.photos, (everything,))


def _fit_logistic(data: CalibrationData, *, offset: bool = True, landmark_offsets: bool = False) -> Array:
    """Curves sigmoid(factor * logit(confidence) + offset) of least log loss; positive factors, so that they rise."""
    k = data.confidence.shape[1]
    part_of = torch.zeros(k, dtype=torch.int64)
    for index, members in enumerate(data.parts):
        part_of[list(members)] = index
    logits, known = _logit(data.confidence), torch.from_numpy(data.known).double()
    target = torch.from_numpy(data.correct).double()
    log_factor = torch.zeros(len(data.parts), dtype=torch.float64, requires_grad=True)
    part_offset = torch.zeros(len(data.parts), dtype=torch.float64, requires_grad=offset)
    own_offset = torch.zeros(k, dtype=torch.float64, requires_grad=landmark_offsets)
    free = [parameter for parameter in (log_factor, part_offset, own_offset) if parameter.requires_grad]
    optimiser = torch.optim.LBFGS(free, max_iter=50, tolerance_grad=1e-6, line_search_fn="strong_wolfe")

    def predict(x: torch.Tensor) -> torch.Tensor:  # (..., K)
        return log_factor.exp()[part_of] * x + part_offset[part_of] + own_offset

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        fitted = F.binary_cross_entropy_with_logits(predict(logits), target, weight=known, reduction="sum")
        value = (fitted + _OFFSET_PRIOR / 2 * own_offset.square().sum()) / known.sum()
        value.backward()
        return value

    optimiser.step(loss)
    with torch.no_grad():
        curves = predict(_logit(np.repeat(KNOTS[:, None], k, axis=1))).sigmoid().T.numpy()
    curves[:, 0], curves[:, -1] = 0, 1  # the limits that the logit's clipping cuts off
    return np.asarray(curves)


def _logit(confidence: Array) -> torch.Tensor:
    return torch.from_numpy(confidence).clamp(1e-4, 1 - 1e-4).logit()


def _isotonic_curve(confidence: Array, correct: NDArray[np.bool_]) -> Array:
    """(M,): isotonic regression through the means of bins, from (0, 0) to (1, 1) and linear in between."""
    bins = np.array_split(np.argsort(confidence, kind="stable"), max(1, min(_BINS, len(confidence) // _MIN_PER_BIN)))
    weights = np.array([len(members) for members in bins], np.float64)
    centres = np.array([confidence[members].mean() for members in bins])
    # Half a success and half a failure more than were seen: no bin is certain.
    shares = np.array([(correct[members].sum() + 0.5) / (len(members) + 1) for members in bins])
    x, y = np.array([0, *centres, 1]), np.array([0, *pool_adjacent_violators(shares, weights), 1])
    return np.asarray(np.interp(KNOTS, x, y))


def pool_adjacent_violators(values: Array, weights: Array) -> Array:
    """The never falling sequence closest to ``values`` by weighted least squares. Ayer et al., 1955.

    Args:
        values: (n,) in the order of what they depend on.
        weights: (n,) positive.
    """
    blocks: list[tuple[float, float, int]] = []  # mean, weight, number of values
    for block in zip(values.tolist(), weights.tolist(), [1] * len(values), strict=True):
        mean, weight, count = block
        while blocks and blocks[-1][0] >= mean:
            before, before_weight, before_count = blocks.pop()
            mean = (before * before_weight + mean * weight) / (before_weight + weight)
            weight, count = before_weight + weight, before_count + count
        blocks.append((mean, weight, count))
    return np.repeat([mean for mean, _, _ in blocks], [count for _, _, count in blocks])


def fits_into_half(*networks: torch.nn.Module | None) -> bool:
    """Whether float16 holds all weights as they are: so they came out of such a file, and go back into one."""
    weights = [value for network in networks if network is not None for value in network.state_dict().values()]
    return all(torch.equal(value, halved(value).to(value.dtype)) for value in weights)


def print_fit(fit: CalibrationFit, console: Console) -> None:
    """What was compared, the best first, and the raw confidences last."""
    about, best = fit.calibration.fitted_on, fit.scores[0]
    table = Table("method", "log loss", "ECE", "worst part's ECE", title=f"{about['faces']} faces of {about['data']}")
    for row in (*fit.scores, fit.raw):
        table.add_row(row.method, f"{row.log_loss:.4f}", f"{row.calibration_error:.4f}", f"{row.worst_part_error:.4f}")
    console.print(table)
    console.print(
        f"Taken: {best.method}. Cross-validated over {about['folds']} folds of photos: no face was calibrated by a fit "
        f"that had seen it. Confidence is now the {fit.calibration.meaning}."
    )
