"""Times and durations as they are shown."""

from __future__ import annotations

import pytest

from gui.plots.time_text import clock_text, duration_text, nice_step


@pytest.mark.parametrize(
    ("seconds", "step", "text"),
    [
        (0, 1, "0:00"),
        (65.4, 1, "1:05"),
        (59.9996, 0.001, "1:00.000"),
        (59.6, 1, "1:00"),
        (3725, 1, "1:02:05"),
        (7.256, 0.01, "0:07.26"),
        (7.25, 0.5, "0:07.2"),
        (-1, 1, "0:00"),
    ],
)
def test_clock(seconds: float, step: float, text: str) -> None:
    assert clock_text(seconds, step) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "1 s"),
        (59, "59 s"),
        (89, "89 s"),
        (100, "2 min"),
        (3600, "60 min"),
        (5410, "1 h 30 min"),
        (7300, "2 h 02 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_steps_of_an_axis() -> None:
    assert [nice_step(s) for s in (0.003, 0.3, 1, 4, 200, 5000)] == [0.01, 0.5, 1, 5, 300, 7200]
