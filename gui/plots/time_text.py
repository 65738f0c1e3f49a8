"""Times and durations as people read them."""

from __future__ import annotations

import math


def clock_text(time_s: float, step_s: float = 1.0) -> str:
    """``1:02:03``, ``2:03`` or, where ``step_s`` is finer than a second, ``2:03.45``."""
    decimals = 0 if step_s >= 1 else 1 if step_s >= 0.1 else 2 if step_s >= 0.01 else 3
    total = round(max(time_s, 0.0), decimals)
    minutes, seconds = divmod(total, 60)
    hours, minutes = divmod(int(minutes), 60)
    text = f"{seconds:0{2 if not decimals else decimals + 3}.{decimals}f}"
    return f"{hours}:{minutes:02}:{text}" if hours else f"{minutes}:{text}"


def duration_text(seconds: float) -> str:
    """A rough duration: ``12 s``, ``3 min``, ``1 h 20 min``."""
    if seconds < 90:
        return f"{max(1, math.ceil(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02} min"


def nice_step(least_s: float) -> float:
    """The smallest step for a time axis that is at least ``least_s`` seconds."""
    for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800):
        if step >= least_s:
            return float(step)
    return 3600.0 * math.ceil(least_s / 3600)
