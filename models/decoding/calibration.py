"""Calibration: from a landmark's raw confidence to the probability that its error is small.

What decoding gives, the mass around a heatmap's peak, ranks errors but is no probability. A calibration is a monotone
curve per landmark, fitted on faces that the network was not trained on (``training/evaluation/calibration.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import FewmarkError


@dataclass(frozen=True, slots=True)
class ConfidenceCalibration:
    """Monotone curves over shared knots, one a group of landmarks, linear in between.

    Raises:
        FewmarkError: the knots don't rise from 0 to 1, a curve falls, leaves 0..1 or has another length, or a landmark
            has no curve.
    """

    knots: tuple[float, ...]  # M raw confidences, rising from 0 to 1
    curves: tuple[tuple[float, ...], ...]  # each M probabilities, never falling
    curve_of_landmark: tuple[int, ...]  # K indices into curves
    within: float = 0.05  # an error below this share of the normaliser counts as small
    normaliser: str = "outer-eyes"  # as in training/evaluation/metrics.py
    method: str = ""  # how the curves were fitted
    fitted_on: Mapping[str, Any] = field(default_factory=dict)  # plain JSON: data, faces, errors before and after

    def __post_init__(self) -> None:
        knots = np.array(self.knots)
        if len(knots) < 2 or knots[0] != 0 or knots[-1] != 1 or (np.diff(knots) <= 0).any():
            raise FewmarkError("calibration: its knots must rise from 0 to 1; calibrate the model again")
        for curve in self.curves:
            values = np.array(curve)
            if values.shape != knots.shape or not (np.isfinite(values).all() and values[0] >= 0 and values[-1] <= 1):
                raise FewmarkError(f"calibration: a curve needs {len(knots)} values of 0..1; calibrate the model again")
            if (np.diff(values) < 0).any():
                raise FewmarkError("calibration: a curve falls; calibrate the model again")
        if not self.curve_of_landmark or not all(0 <= i < len(self.curves) for i in self.curve_of_landmark):
            raise FewmarkError("calibration: a landmark has no curve; calibrate the model again")

    @property
    def meaning(self) -> str:
        """What a calibrated confidence is, for headers and legends."""
        return f"probability of an error below {100 * self.within:g} % (normaliser: {self.normaliser})"

    def apply(self, confidence: NDArray[np.float32]) -> NDArray[np.float32]:
        """Calibrated confidences.

        Args:
            confidence: (..., K) raw, 0..1.

        Returns:
            (..., K) float32, 0..1; within a landmark the order is kept.
        """
        knots, curves = np.array(self.knots, np.float32), np.array(self.curves, np.float32)
        landmark = np.array(self.curve_of_landmark)
        right = np.clip(np.searchsorted(knots, confidence), 1, len(knots) - 1)
        low, high = curves[landmark, right - 1], curves[landmark, right]
        share = (confidence - knots[right - 1]) / (knots[right] - knots[right - 1])
        calibrated: NDArray[np.float32] = np.clip(low + share * (high - low), 0, 1).astype(np.float32)
        return calibrated

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; ``calibration_from_dict`` is the inverse."""
        return {
            "knots": list(self.knots),
            "curves": [list(curve) for curve in self.curves],
            "curve_of_landmark": list(self.curve_of_landmark),
            "within": self.within,
            "normaliser": self.normaliser,
            "method": self.method,
            "fitted_on": dict(self.fitted_on),
        }


def calibration_from_dict(data: Mapping[str, Any]) -> ConfidenceCalibration:
    """The calibration that ``ConfidenceCalibration.to_dict`` wrote.

    Raises:
        FewmarkError: a field is missing or of the wrong form.
    """
    try:
        return ConfidenceCalibration(
            knots=tuple(float(v) for v in data["knots"]),
            curves=tuple(tuple(float(v) for v in curve) for curve in data["curves"]),
            curve_of_landmark=tuple(int(i) for i in data["curve_of_landmark"]),
            within=float(data["within"]),
            normaliser=str(data["normaliser"]),
            method=str(data["method"]),
            fitted_on=dict(data["fitted_on"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise FewmarkError(f"calibration: not readable ({error!r}); calibrate the model again") from error
