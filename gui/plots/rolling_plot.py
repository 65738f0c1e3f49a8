"""The confidence of the last seconds, as it comes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from PyQt6.QtWidgets import QWidget

from gui.plots.confidence_plot import ConfidencePlot
from gui.plots.plot_lines import GAP_S

_CAPACITY = 4096  # samples of a face that are kept at most


class RollingPlot(ConfidencePlot):
    """Shows the last seconds of what ``append`` brings, the newest at the right."""

    def __init__(self, window_s: float, parent: QWidget | None = None) -> None:
        """
        Args:
            window_s: how many seconds are shown.
        """
        super().__init__(parent)
        self._window_s = window_s
        self._range_s = (0.0, window_s)

    def append(self, time_s: float, confidences: Mapping[int, float]) -> None:
        """The mean confidence 0..1 of every face in the newest frame. Times rise."""
        if time_s < self._range_s[1] - self._window_s:  # another source, whose clock begins elsewhere
            self._samples.clear()
        for face_id, confidence in confidences.items():
            times, values = self._samples.get(face_id, (np.empty(0), np.empty(0)))
            first = int(np.searchsorted(times, time_s - self._window_s - GAP_S))
            first = max(first, len(times) - _CAPACITY)
            self._samples[face_id] = (np.append(times[first:], time_s), np.append(values[first:], confidence))
        self._samples = {i: s for i, s in self._samples.items() if s[0][-1] > time_s - self._window_s}
        self._range_s = (time_s - self._window_s, time_s)
        self._redraw()

    def set_window(self, seconds: float) -> None:
        """How many seconds are shown."""
        self._window_s = seconds
        self._range_s = (self._range_s[1] - seconds, self._range_s[1])
        self._redraw()

    def clear(self) -> None:
        """Forgets everything that is shown."""
        self._samples, self._range_s = {}, (0.0, self._window_s)
        self._redraw()

    def _ticks(self, step_s: float) -> Iterator[tuple[float, str]]:
        start, end = self._range_s
        for k in range(int((end - start) / step_s) + 1):
            yield end - k * step_s, f"-{k * step_s:g} s" if k else "now"
