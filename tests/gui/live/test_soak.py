"""The live workspace over a while: a GUI thread that always answers, flat memory, a steady rate of replaced frames.

FEWMARK_SOAK_S=60 pytest -m slow -s tests/gui/live/test_soak.py    # one minute in place of ten, with its figures
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from statistics import median

import numpy as np
import psutil
import pytest
from pace import slowness
from PyQt6.QtCore import QTimer
from pytestqt.qtbot import QtBot

from gui.live import LiveWorkspace
from gui.services import Services
from gui.tracker_bridge import LiveBridge
from tracker.bench.soak import MIN_SOAK_FRAMES, MemorySample, memory_slope
from tracker.machine.allocator import give_frames_back

BEAT_MS = 10
PATIENCE_MS = 180_000
MOST_MS = 50.0  # that the GUI thread may be held up
SOAK_S = float(os.environ.get("FEWMARK_SOAK_S", "600"))
SAMPLES = 300
FRAME_MS = 1000 / 30  # between two frames of the demo clip


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


@dataclass
class Shown:
    """What was painted, when, and what the tracker took for it."""

    live: LiveWorkspace
    painted_s: list[float] = field(default_factory=list)
    latency_ms: list[float] = field(default_factory=list)  # capture to paint
    tracking_ms: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.live.canvas.painted.connect(self._on_painted)

    def _on_painted(self) -> None:
        picture, now_s = self.live.picture, time.perf_counter()
        if picture is not None and picture.is_new:
            self.painted_s.append(now_s)
            self.latency_ms.append(1000 * (now_s - picture.tracked.captured_s))
            self.tracking_ms.append(sum(picture.tracked.result.stage_ms.values()))

    @property
    def rate(self) -> float:
        """Pictures/s."""
        return (len(self.painted_s) - 1) / (self.painted_s[-1] - self.painted_s[0])


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
    made.request_end()
    assert made.join(2.0)
    took_s = time.perf_counter() - before
    made.close()
    made.deleteLater()
    assert took_s < 2


def play(qtbot: QtBot, seconds: float, sample_s: float, on_sample: Callable[[], object]) -> Heartbeat:
    """Lets the window run, with a sample from time to time."""
    heartbeat = Heartbeat()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        qtbot.wait(round(1000 * min(sample_s, max(end - time.perf_counter(), 0.001))))
        on_sample()
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

    heartbeat = play(qtbot, 6, 1, change_something)
    assert len(heartbeat.busy_ms) > 10
    # Every change that takes long shows; one or two beats may have met a host that was busy.
    assert sorted(heartbeat.busy_ms)[-3] < MOST_MS * slowness()
    qtbot.waitUntil(lambda: threading.active_count() <= threads, timeout=PATIENCE_MS)


@pytest.mark.slow
def test_ten_minutes_leave_no_trace(live: LiveWorkspace, qtbot: QtBot) -> None:
    give_frames_back()  # as the command does
    process = psutil.Process()
    statistics = live.bridge.session.statistics
    shown = Shown(live)
    memory: list[MemorySample] = []
    replaced: list[int] = []

    def sample() -> None:
        memory.append(MemorySample(len(shown.painted_s), process.memory_info().rss / 1e6))
        replaced.append(statistics().replaced)

    heartbeat = play(qtbot, SOAK_S, SOAK_S / SAMPLES, sample)
    half = len(memory) // 2  # what fills once has been filled by then
    slope = memory_slope(memory[half:])
    earlier, later = replaced[half] - replaced[0], replaced[-1] - replaced[half]
    late_ms, latency_ms, tracking_ms = heartbeat.late_ms, median(shown.latency_ms), median(shown.tracking_ms)
    print(
        f"\n{SOAK_S:.0f} s: {shown.rate:.1f} pictures/s; latency {latency_ms:.0f} ms (95 %: "
        f"{np.percentile(shown.latency_ms, 95):.0f}), of it tracking {tracking_ms:.0f} ms; heartbeat late by "
        f"{max(late_ms):.0f} ms at most (99.9 %: {np.percentile(late_ms, 99.9):.0f}); memory "
        f"{memory[half].resident_mb:.0f} to {memory[-1].resident_mb:.0f} MB, {slope.mb_per_1000_frames:.2f} "
        f"({slope.low:.2f} to {slope.high:.2f}) MB per 1000 pictures; replaced {earlier}, then {later}"
    )
    if memory[-1].frames - memory[half].frames >= MIN_SOAK_FRAMES:
        assert slope.low < 1.0, f"memory grows by {slope} MB per 1000 pictures"
    assert later <= 1.2 * earlier + 30, f"frames replaced: {earlier} in the first half, {later} in the second"
    assert max(late_ms) < MOST_MS
    assert latency_ms <= FRAME_MS + tracking_ms
