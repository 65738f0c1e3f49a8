"""One-Euro filter (Casiez, Roussel, Vogel, CHI 2012) for a face's landmarks, in seconds and face sizes.

A low-pass whose cutoff rises with speed: still faces stay still, moving ones are not left behind. Speeds are in face
sizes per second and times are real, so the same settings fit every resolution, distance and frame rate.
"""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tracker.config import OneEuroSettings
from tracker.types import FloatArray


class OneEuroFilter:
    """Smooths the landmarks of one face; state is one position and one velocity per point. One per face id."""

    def __init__(self, settings: OneEuroSettings | None = None) -> None:
        self._settings = settings or OneEuroSettings()
        self.reset()

    def reset(self) -> None:
        """Forgets the past: the next points come out as they go in."""
        self._time_s: float | None = None
        self._raw: NDArray[np.float64] = np.empty((0, 2))
        self._smooth: NDArray[np.float64] = np.empty((0, 2))
        self._velocity: NDArray[np.float64] = np.empty((0, 2))  # face sizes/s

    def __call__(self, points: FloatArray, time_s: float, face_size_px: float) -> FloatArray:
        """Smoothed points of the next frame.

        Args:
            points: (K, 2) frame pixels. Another K than before starts the filter anew.
            time_s: the frame's time. The same time again changes nothing and gives the last result; an earlier one (a
                seek) starts anew.
            face_size_px: the longer side of the face's box; below one pixel it counts as one.

        Returns:
            (K, 2) float32 frame pixels.
        """
        raw = points.astype(np.float64)
        elapsed_s = math.inf if self._time_s is None else time_s - self._time_s
        if 0 <= elapsed_s < _SAME_MOMENT_S and raw.shape == self._raw.shape:
            return self._smooth.astype(np.float32)
        if not 0 < elapsed_s <= self._settings.max_gap_s or raw.shape != self._raw.shape:
            self._smooth, self._velocity = raw, np.zeros_like(raw)
        else:
            # Against the last raw point, not the last smooth one: that would count the lag as speed.
            velocity = (raw - self._raw) / (elapsed_s * max(face_size_px, 1.0))
            weight = _weight(self._settings.derivative_cutoff_hz, elapsed_s)
            self._velocity = self._velocity + weight * (velocity - self._velocity)
            # One cutoff per point, from its speed in the plane: the result does not depend on how the face is turned.
            speed = np.linalg.norm(self._velocity, axis=1, keepdims=True)
            cutoff_hz = self._settings.min_cutoff_hz + self._settings.beta * speed
            self._smooth = self._smooth + _weight(cutoff_hz, elapsed_s) * (raw - self._smooth)
        self._raw, self._time_s = raw, time_s
        return self._smooth.astype(np.float32)


_SAME_MOMENT_S = 1e-6  # no source has frames closer together; a speed over less would overflow
_Cutoff = TypeVar("_Cutoff", float, NDArray[np.float64])


def _weight(cutoff_hz: _Cutoff, elapsed_s: float) -> _Cutoff:
    """Share of the new value in a first-order low-pass over one step, (0, 1)."""
    return 1 / (1 + 1 / (2 * math.pi * cutoff_hz * elapsed_s))
