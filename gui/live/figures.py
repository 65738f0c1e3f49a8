"""How often pictures are painted, and how old they are by then."""

from __future__ import annotations

import time
from collections import deque
from statistics import fmean

from tracker.live import RateMeter

_LATEST = 30  # pictures that the latency is a mean of


class Figures:
    """Fed by the canvas, read by the status line."""

    def __init__(self) -> None:
        self._rate = RateMeter()
        self._latencies: deque[float] = deque(maxlen=_LATEST)  # s

    def painted(self, captured_s: float) -> None:
        """A new picture is on the screen, whose frame was captured then (perf_counter)."""
        self._rate.tick()
        self._latencies.append(time.perf_counter() - captured_s)

    def clear(self) -> None:
        """Begins anew, for another source."""
        self._rate.clear()
        self._latencies.clear()

    @property
    def shown_rate(self) -> float | None:
        """Pictures/s; None: too few to tell."""
        return self._rate.rate

    @property
    def latency_ms(self) -> float | None:
        """From capture to paint, mean of the last pictures; None: there was none."""
        return 1000 * fmean(self._latencies) if self._latencies else None
