"""The confidence plot: what is drawn where, and what a click asks for."""

from __future__ import annotations

import time

import numpy as np
import pytest
from numpy.typing import NDArray
from pace import slowness
from PyQt6.QtCore import QEvent, QPoint, QPointF, Qt
from PyQt6.QtGui import QMouseEvent
from PyQt6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from screen import painted

from gui.look import theme
from gui.plots.confidence_plot import ConfidencePlot
from gui.plots.rolling_plot import RollingPlot
from gui.plots.timeline import Timeline
from tracker.overlays.drawing import face_colour


@pytest.fixture(autouse=True)
def _dark(qapp: QApplication) -> None:
    theme.apply_theme(qapp, "dark")


def made(qtbot: QtBot) -> Timeline:
    plot = Timeline()
    qtbot.addWidget(plot)
    plot.resize(800, 90)
    return plot


def pixels(plot: ConfidencePlot) -> NDArray[np.int16]:
    """(H, W, 3) RGB of what is painted."""
    return painted(plot).astype(np.int16)


def line_at(plot: ConfidencePlot, face_id: int, time_s: float) -> float | None:
    """The confidence at which the face's line is painted at a time; None where there is none."""
    column = pixels(plot)[:, round(plot._x(time_s) - 0.5)]
    near = np.flatnonzero(np.abs(column - face_colour(face_id)).max(axis=1) < 60)
    if not len(near):
        return None
    rect = plot._plot_rect()
    return float((rect.bottom() - near.mean() - 0.5) / rect.height())


def test_a_timeline_shows_each_face_in_its_colour_and_gaps_as_gaps(qtbot: QtBot) -> None:
    plot = made(qtbot)
    times = np.arange(0, 10, 0.04)
    here = times[(times < 4) | (times > 6)]
    plot.set_series({0: (times, np.full(len(times), 0.9)), 1: (here, np.full(len(here), 0.3))}, start_s=0.0, end_s=10.0)
    assert line_at(plot, 0, 5.0) == pytest.approx(0.9, abs=0.03)
    assert line_at(plot, 1, 2.0) == pytest.approx(0.3, abs=0.03)
    assert line_at(plot, 1, 5.0) is None
    assert line_at(plot, 1, 8.0) == pytest.approx(0.3, abs=0.03)


def test_one_bad_frame_among_thousands_is_seen(qtbot: QtBot) -> None:
    plot = made(qtbot)
    times = np.arange(20_000) / 30
    values = np.full(len(times), 0.95)
    values[12_345] = 0.1
    plot.set_series({0: (times, values)}, start_s=0.0, end_s=float(times[-1]))
    column = pixels(plot)[:, round(plot._x(float(times[12_345])) - 0.5)]
    rect = plot._plot_rect()
    low = round(rect.bottom() - 0.2 * rect.height())
    assert np.abs(column[low] - face_colour(0)).max() < 100


def test_the_rolling_form_shows_the_last_seconds(qtbot: QtBot) -> None:
    plot = RollingPlot(5.0)
    qtbot.addWidget(plot)
    plot.resize(800, 90)
    for i in range(300):
        time_s = 100 + i / 30
        plot.append(time_s, {0: 0.8} | ({1: 0.4} if i < 30 else {}))
    assert line_at(plot, 0, 107.5) == pytest.approx(0.8, abs=0.03)
    assert set(plot._samples) == {0}  # the other one left the window
    assert len(plot._samples[0][0]) < 200
    plot.append(3.0, {2: 0.6})  # another source
    assert set(plot._samples) == {2}
    plot.clear()
    assert not plot._samples


def test_a_click_a_drag_and_keys_ask_for_a_time(qtbot: QtBot) -> None:
    plot = made(qtbot)
    asked: list[float] = []
    plot.seek_requested.connect(asked.append)
    plot.set_series({}, start_s=2.0, end_s=12.0)
    plot.set_cursor(5.0)
    y = plot.height() // 2
    qtbot.mouseClick(plot, Qt.MouseButton.LeftButton, pos=QPoint(round(plot._x(7.0)), y))
    assert asked.pop() == pytest.approx(7.0, abs=0.02)
    qtbot.mouseClick(plot, Qt.MouseButton.LeftButton, pos=QPoint(0, y))
    assert asked.pop() == 2.0
    qtbot.mousePress(plot, Qt.MouseButton.LeftButton, pos=QPoint(round(plot._x(4.0)), y))
    for key, wanted in (
        (Qt.Key.Key_Right, 6.0),
        (Qt.Key.Key_Left, 4.0),
        (Qt.Key.Key_PageDown, 12.0),
        (Qt.Key.Key_Home, 2.0),
        (Qt.Key.Key_End, 12.0),
    ):
        qtbot.keyClick(plot, key)
        assert asked.pop() == wanted
    asked.clear()
    qtbot.keyClick(plot, Qt.Key.Key_A)
    assert asked == []


def test_a_click_on_a_mark_asks_for_its_very_moment(qtbot: QtBot) -> None:
    plot = made(qtbot)
    asked: list[float] = []
    plot.seek_requested.connect(asked.append)
    plot.set_series({}, start_s=0.0, end_s=3600.0)  # a pixel is more than four seconds
    plot.set_marks([1000.04, 1020.08, 3000.0])
    y, mark_x = plot.height() - 8, round(plot._x(1000.04))
    qtbot.mousePress(plot, Qt.MouseButton.LeftButton, pos=QPoint(mark_x - 2, y))
    drag(plot, QPoint(mark_x - 1, y))  # a hand is never quite still
    qtbot.mouseRelease(plot, Qt.MouseButton.LeftButton, pos=QPoint(mark_x - 1, y))
    assert asked == [1000.04]
    drag(plot, QPoint(mark_x + 300, y))
    assert asked[1:] == [pytest.approx(plot._time_at(mark_x + 300))]
    qtbot.mouseClick(plot, Qt.MouseButton.LeftButton, pos=QPoint(mark_x - 12, y))
    assert asked[2:] == [pytest.approx(plot._time_at(mark_x - 12))]


def drag(plot: Timeline, to: QPoint) -> None:
    """A move with the button down, which QTest can't make."""
    at, left = QPointF(to), Qt.MouseButton.LeftButton
    none = Qt.KeyboardModifier.NoModifier
    event = QMouseEvent(QEvent.Type.MouseMove, at, plot.mapToGlobal(at), Qt.MouseButton.NoButton, left, none)
    QApplication.sendEvent(plot, event)


def test_marks_cursor_and_pointer_are_painted(qtbot: QtBot) -> None:
    plot = made(qtbot)
    plot.set_series({}, start_s=0.0, end_s=10.0)
    plain = pixels(plot)
    plot.set_marks([2.5])
    marked = pixels(plot)
    assert np.flatnonzero(np.abs(marked - plain).max(axis=(0, 2)) > 30).mean() == pytest.approx(plot._x(2.5), abs=1.5)
    plot.set_cursor(7.5)
    moved = pixels(plot)
    assert np.flatnonzero(np.abs(moved - marked).max(axis=(0, 2)) > 30).mean() == pytest.approx(plot._x(7.5), abs=1.5)
    with qtbot.waitExposed(plot):
        plot.show()
    qtbot.mouseMove(plot, QPoint(round(plot._x(5.0)), 40))
    qtbot.waitUntil(lambda: plot._hover_s is not None)
    assert (pixels(plot) != moved).any()
    plot.close()


@pytest.mark.parametrize("name", ["dark", "light"])
def test_both_themes_repaint_it(qtbot: QtBot, qapp: QApplication, name: str) -> None:
    theme.apply_theme(qapp, name)
    plot = made(qtbot)
    plot.set_series({0: (np.arange(10.0), np.full(10, 0.5))}, start_s=0.0, end_s=10.0)
    before = pixels(plot)
    theme.apply_theme(qapp, "light" if name == "dark" else "dark")
    assert (pixels(plot) != before).any()


def test_odd_sizes_and_values_are_painted(qtbot: QtBot) -> None:
    plot = made(qtbot)
    times = np.array([0.0, 1.0, 2.0])
    plot.set_series({0: (times, np.array([np.nan, 2.0, -1.0])), 1: (np.empty(0), np.empty(0))}, start_s=0, end_s=0)
    for size in ((1, 1), (40, 20), (3000, 30)):
        plot.resize(*size)
        assert pixels(plot).shape[:2] == size[::-1]


def test_a_cursor_over_a_long_recording_is_cheap(qtbot: QtBot) -> None:
    plot = made(qtbot)
    times = np.arange(54_000) / 30
    rng = np.random.default_rng(0)
    plot.set_series({i: (times, rng.uniform(0.5, 1, len(times))) for i in range(4)}, start_s=0.0, end_s=1800.0)
    plot.grab()
    began = time.thread_time()  # not the clock: this machine may be busy
    for i in range(50):
        plot.set_cursor(float(i))
        plot.grab()
    assert (time.thread_time() - began) / 50 < 0.008 * slowness()
