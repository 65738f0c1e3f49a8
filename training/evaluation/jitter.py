"""Jitter and lag of landmarks on video, without labels.

Legend: T frames, K landmarks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MIN_SPEED = 0.1  # normalisers a second, below which a landmark says nothing of lag
MAX_LAG_S = 0.25
_LAG_STEP_S = 0.005  # a parabola through the best three finds what lies between
_REFERENCE_SIGMA_S = 0.04  # of the Gaussian that takes the noise out of the path that lag is measured against
_RAYLEIGH_RMS_OVER_MEDIAN = float(np.sqrt(1 / np.log(2)))


def departures(points: Array, times_s: Array) -> Array:
    """How far each landmark lies from where its neighbours in time put it.

    The neighbours' straight line takes uniform motion out. What is left is scaled so that white noise gives what the
    differences of its errors between frames would give: the value that normalised mean flicker is made of (Micaelli et
    al., Recurrence without Recurrence, CVPR 2023, where labels take the motion out).

    Args:
        points: (T, K, 2) pixels of consecutive frames, T >= 3.
        times_s: (T,) rising; need not be even.

    Returns:
        (T - 2, K) pixels.
    """
    before, after = np.diff(times_s)[:-1], np.diff(times_s)[1:]
    weight = (before / (before + after))[:, None, None]  # of the later neighbour
    expected = (1 - weight) * points[:-2] + weight * points[2:]
    noise_gain = np.sqrt(2 / (1 + weight**2 + (1 - weight) ** 2))
    return np.asarray(np.linalg.norm((points[1:-1] - expected) * noise_gain, axis=-1))


def normalised_mean_jitter(departed: Array) -> float:
    """Root mean square of departures, as normalised mean flicker takes it; gestures count.

    Args:
        departed: (n, K) in units of a normaliser.
    """
    return float(np.sqrt(np.square(departed).mean()))


def still_jitter(departed: Array) -> float:
    """The same from each landmark's median frame: equal for Gaussian noise, but blinks and gestures don't count.

    Args:
        departed: (n, K) in units of a normaliser.
    """
    return float(np.sqrt(np.square(np.median(departed, axis=0) * _RAYLEIGH_RMS_OVER_MEDIAN).mean()))


def lag_costs(smoothed: Array, raw: Array, times_s: Array, length: float) -> tuple[Array, Array, int]:
    """Squared distances of a smoothed path from the path that it follows, for every lag.

    Landmarks count in frames in which they move. Noise is taken out of the raw path by a Gaussian, which looks as far
    ahead as back and so has no lag of its own.

    Args:
        smoothed: (T, K, 2) pixels.
        raw: (T, K, 2) what it was made of.
        times_s: (T,) rising.
        length: of the normaliser, px.

    Returns:
        Lags (L,) in seconds; the sum of squared distances at each, (L,), in units of the normaliser; and over how many
        positions it runs. Sums of several paths may be added up; ``best_lag`` finds the least.
    """
    lags = np.arange(-MAX_LAG_S, MAX_LAG_S + _LAG_STEP_S / 2, _LAG_STEP_S)
    costs = np.zeros(len(lags))
    reference = _smoothed_both_ways(raw, times_s)
    inside = (times_s - times_s[0] >= MAX_LAG_S) & (times_s[-1] - times_s >= MAX_LAG_S)
    if not inside.any():
        return lags, costs, 0
    speed = np.linalg.norm(np.gradient(reference, times_s, axis=0), axis=-1) / length
    moving = inside[:, None] & (speed >= MIN_SPEED)
    for landmark in np.flatnonzero(moving.any(axis=0)).tolist():
        frames = moving[:, landmark]
        when = times_s[frames, None] - lags  # (F, L)
        for axis in (0, 1):
            then = np.interp(when, times_s, reference[:, landmark, axis])
            costs += np.square((smoothed[frames, landmark, axis, None] - then) / length).sum(axis=0)
    return lags, costs, int(moving.sum())


def best_lag(lags: Array, costs: Array) -> float:
    """The lag of least cost, seconds, between the lags by a parabola."""
    i = int(costs.argmin())
    if not 0 < i < len(lags) - 1:
        return float(lags[i])
    before, here, after = costs[i - 1 : i + 2]
    bend = before - 2 * here + after
    return float(lags[i] + (lags[1] - lags[0]) * (before - after) / (2 * bend)) if bend > 0 else float(lags[i])


def _smoothed_both_ways(points: Array, times_s: Array) -> Array:
    """(T, K, 2) under a Gaussian over time, cut off at four sigmas."""
    reach = 4 * _REFERENCE_SIGMA_S
    most = int((np.searchsorted(times_s, times_s + reach, side="right") - np.arange(len(times_s))).max())
    total, weight = np.zeros_like(points), np.zeros(len(points))
    for offset in range(-most, most + 1):
        here = np.arange(max(0, -offset), min(len(points), len(points) - offset))
        share = np.exp(-0.5 * np.square((times_s[here + offset] - times_s[here]) / _REFERENCE_SIGMA_S))
        total[here] += share[:, None, None] * points[here + offset]
        weight[here] += share
    smoothed: Array = total / weight[:, None, None]
    return smoothed
