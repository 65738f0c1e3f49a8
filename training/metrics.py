"""The field's error measures, in one place and named.

Legend: N faces, K landmarks. Errors are per face unless said otherwise.
"""

from __future__ import annotations

import numpy as np

from models.landmark_schemes import LandmarkScheme
from tracker.types import FloatArray


def point_errors(predicted: FloatArray, truth: FloatArray, visible: np.ndarray, scheme: LandmarkScheme) -> FloatArray:
    """Distances in units of the scheme's normaliser (for 300w-68 the outer eye corners).

    Args:
        predicted: (N, K, 2) pixels.
        truth: (N, K, 2), the same pixels.
        visible: (N, K) bool.

    Returns:
        (N, K); NaN where a landmark is not labelled.
    """
    if scheme.normaliser is None:
        raise ValueError(f"scheme {scheme.name} names no normaliser")
    a, b = scheme.normaliser
    normaliser = np.linalg.norm(truth[:, a] - truth[:, b], axis=-1)
    errors = np.linalg.norm(predicted - truth, axis=-1) / normaliser[:, None]
    return np.where(visible, errors, np.nan).astype(np.float32)


def nme_per_face(errors: FloatArray) -> FloatArray:
    """(N, K) point errors to (N,) normalised mean errors; 0.03 is 3 %."""
    return np.asarray(np.nanmean(errors, axis=1), np.float32)


def failure_rate(nme: FloatArray, threshold: float = 0.1) -> float:
    """Share of faces whose NME exceeds the threshold."""
    return float(np.mean(nme > threshold)) if len(nme) else float("nan")


def ced_curve(nme: FloatArray, threshold: float = 0.1, steps: int = 1000) -> tuple[FloatArray, FloatArray]:
    """Cumulative error distribution: (thresholds, share of faces at or below each), up to ``threshold``."""
    x = np.linspace(0, threshold, steps + 1, dtype=np.float32)
    return x, (np.searchsorted(np.sort(nme), x, side="right") / max(len(nme), 1)).astype(np.float32)


def area_under_ced(nme: FloatArray, threshold: float = 0.1) -> float:
    """AUC of the CED curve up to ``threshold``, 0..1, exactly: the mean of max(0, 1 - nme / threshold)."""
    return float(np.clip(1 - nme / threshold, 0, None).mean()) if len(nme) else float("nan")
