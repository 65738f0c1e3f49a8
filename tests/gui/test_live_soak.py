"""The live workspace over a while: a GUI thread that always answers, flat memory, a steady rate of replaced frames."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import psutil
import pytest
from PyQt6.QtCore import QTimer
from pytestqt.qtbot import QtBot

from gui.live import LiveWorkspace
from gui.services import Services
from gui.tracker_bridge import LiveBridge
from tracker.bench.soak import MemorySample, memory_slope

BEAT_MS = 10
PATIENCE_MS = 180_000
MOST_MS = 50.0  # that the GUI thread may be held up
SAMPLE_S = 2.0


@dataclass
class Heartbeat:
    """A timer in the GUI thread that notes what came between two of its beats."""

    late_ms: list[float] = field(default_factory=list)  # by the clock, whatever held the thread up
    busy_ms: list[float] = field(default_factory=list)  # the thread's own work, whatever else the machine does

    def __post_init__(self) -> None:
        self._wall_s, self._cpu_s = time.perf_counter(), time.thread_time()
        self._timer = QTimer()
        self._timer.timeout.connect(self._beat)
        self._timer.start(BEAT_MS)

    def stop(self) -> None:
        self._timer.stop()

    def _beat(self) -> None:
        wall_s, cpu_s = time.perf_counter(), time.thread_time()
        self.late_ms.append(1000 * (wall_s - self._wall_s) - BEAT_MS)
        self.busy_ms.append(1000 * (cpu_s - self._cpu_s))
        self._wall_s, self._cpu_s = wall_s, cpu_s


@pytest.fixture
def live(qtbot: QtBot, services: Services) -> Iterator[LiveWorkspace]:
    """The workspace with everything switched on, playing the demo clip, once faces are shown."""
    overlays = ("points", "contours", "box", "confidence", "heatmap")
    services.settings.update("live", camera="demo", overlays=overlays)
    made = LiveWorkspace(services, make_bridge=partial(LiveBridge, find_cameras=list))
    made.resize(1280, 740)
    made.show()
    made.activate()
    qtbot.waitUntil(lambda: made.picture is not None and bool(made.picture.tracked.result.faces), timeout=PATIENCE_MS)
    yield made
    before = time.perf_counter()
    made.shutdown()
    took_s = time.perf_counter() - before
    made.close()
    made.deleteLater()
    assert took_s < 2


def play(qtbot: QtBot, seconds: float, every_sample: Callable[[], object]) -> Heartbeat:
    """Lets the window run, with a sample from time to time."""
    heartbeat = Heartbeat()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        qtbot.wait(round(1000 * min(SAMPLE_S, max(end - time.perf_counter(), 0.001))))
        every_sample()
    heartbeat.stop()
    return heartbeat


def test_the_gui_thread_never_works_long_and_no_thread_is_left_behind(
    live: LiveWorkspace, qtbot: QtBot, services: Services
) -> None:
    threads = threading.active_count()
    landmarks = iter(range(68))

    def change_something() -> None:
        services.settings.update("live", mirror=not services.settings.current.live.mirror)
        services.settings.update("live", heatmap_landmark=next(landmarks))
        live.source.start()

    heartbeat = play(qtbot, 6, change_something)
    assert len(heartbeat.busy_ms) > 10
    assert max(heartbeat.busy_ms) < MOST_MS
    qtbot.waitUntil(lambda: threading.active_count() <= threads, timeout=PATIENCE_MS)


@pytest.mark.slow
def test_ten_minutes_leave_no_trace(live: LiveWorkspace, qtbot: QtBot) -> None:
    process = psutil.Process()
    statistics = live.bridge.session.statistics
    shown = 0
    memory: list[MemorySample] = []
    replaced: list[int] = []

    def count() -> None:
        nonlocal shown
        shown += 1

    def sample() -> None:
        memory.append(MemorySample(shown, process.memory_info().rss / 1e6))
        replaced.append(statistics().replaced)

    live.canvas.painted.connect(count)
    heartbeat = play(qtbot, 600, sample)
    half = len(memory) // 2  # what fills once has been filled by then
    slope = memory_slope(memory[half:])
    assert slope.low < 1.0, f"memory grows by {slope} MB per 1000 pictures"
    earlier, later = replaced[half] - replaced[0], replaced[-1] - replaced[half]
    assert later <= 1.2 * earlier + 30, f"frames replaced: {earlier} in the first half, {later} in the second"
    assert max(heartbeat.late_ms) < MOST_MS
