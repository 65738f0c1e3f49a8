"""The field's measures of error and of confidence, in one place and named.

Legend: N faces, K landmarks. Errors are in units of the normaliser: 0.03 is 3 %.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.landmark_schemes import LandmarkScheme
from tracker.types import FloatArray
from training.evaluation.normalisers import LabelledFaces, normalising_lengths

FAILURE_THRESHOLD = 0.1  # NME above which a face is a failure, and up to which the CED's area is taken
WITHIN = 0.05  # an error below this counts as small: what calibrated confidence is the probability of

# What a landmark's name says of its part of the face. "brow" comes before "eye": an eyebrow is no eye.
_PARTS = {
    "jaw": ("jaw", "chin"),
    "brows": ("brow",),
    "nose": ("nose", "nostril"),
    "eyes": ("eye", "pupil"),
    "mouth": ("mouth", "lip"),
}


def point_errors(
    predicted: FloatArray,
    truth: FloatArray,
    visible: np.ndarray,
    scheme: LandmarkScheme,
    *,
    normaliser: str | None = None,
    boxes: FloatArray | None = None,
) -> FloatArray:
    """Distances in units of a normaliser.

    Args:
        predicted: (N, K, 2) pixels; infinite for a face that was not found.
        truth: (N, K, 2), the same pixels.
        visible: (N, K) bool; False: not labelled.
        normaliser: a name of ``NORMALISERS``; None takes the scheme's default, for 300w-68 the outer eye corners.
        boxes: (N, 4) the data set's own face boxes, for the normalisers that use them.

    Returns:
        (N, K) float32; NaN where a landmark is not labelled, or the face has no such normaliser.
    """
    lengths = normalising_lengths(LabelledFaces(truth, visible, scheme, boxes), normaliser)
    errors = np.linalg.norm(predicted - truth, axis=-1) / lengths[:, None]
    return np.where(visible, errors, np.nan).astype(np.float32)


def nme_per_face(errors: FloatArray) -> FloatArray:
    """(N, K) point errors to (N,) normalised mean errors over the labelled landmarks; NaN where there is none."""
    labelled = ~np.isnan(errors)
    count = labelled.sum(axis=1)
    total = np.where(labelled, errors, 0).sum(axis=1, dtype=np.float64)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def failure_rate(nme: FloatArray, threshold: float = FAILURE_THRESHOLD) -> float:
    """Share of faces whose NME exceeds the threshold."""
    return float(np.mean(nme > threshold)) if len(nme) else float("nan")


def ced_curve(
    nme: FloatArray, threshold: float = FAILURE_THRESHOLD, steps: int = 1000
) -> tuple[FloatArray, FloatArray]:
    """Cumulative error distribution: (thresholds, share of faces at or below each), up to ``threshold``."""
    x = np.linspace(0, threshold, steps + 1, dtype=np.float32)
    return x, (np.searchsorted(np.sort(nme), x, side="right") / max(len(nme), 1)).astype(np.float32)


def area_under_ced(nme: FloatArray, threshold: float = FAILURE_THRESHOLD) -> float:
    """AUC of the CED curve up to ``threshold``, 0..1, exactly: the mean of max(0, 1 - nme / threshold)."""
    return float(np.clip(1 - nme / threshold, 0, None).mean()) if len(nme) else float("nan")


def face_parts(scheme: LandmarkScheme) -> dict[str, tuple[int, ...]]:
    """Landmarks by part of the face: jaw, brows, nose, eyes, mouth, and "other" for names that say nothing of it."""
    members: dict[str, list[int]] = {part: [] for part in (*_PARTS, "other")}
    for index, name in enumerate(scheme.point_names):
        part = next((part for part, words in _PARTS.items() if any(word in name for word in words)), "other")
        members[part].append(index)
    return {part: tuple(indices) for part, indices in members.items() if indices}


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The landmarks whose confidence lies in one interval."""

    low: float
    high: float
    count: int
    mean_confidence: float
    share_correct: float


def reliability(confidence: np.ndarray, correct: np.ndarray, bins: int = 15) -> list[ReliabilityBin]:
    """The reliability diagram's bins, of equal width over 0..1; empty ones are left out.

    Args:
        confidence: (n,) 0..1.
        correct: (n,) bool or 0/1.
    """
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    return [
        ReliabilityBin(
            low=i / bins,
            high=(i + 1) / bins,
            count=int(members.sum()),
            mean_confidence=float(confidence[members].mean()),
            share_correct=float(correct[members].mean()),
        )
        for i in range(bins)
        if (members := index == i).any()
    ]


def expected_calibration_error(confidence: np.ndarray, correct: np.ndarray, bins: int = 15) -> float:
    """ECE, 0..1: the bins' mean distance of confidence and share correct, weighted by their counts.

    Guo et al., On Calibration of Modern Neural Networks, ICML 2017, eq. 5; arguments as for ``reliability``.
    """
    gaps = [b.count * abs(b.mean_confidence - b.share_correct) for b in reliability(confidence, correct, bins)]
    return sum(gaps) / len(confidence) if len(confidence) else float("nan")
