"""How far a task in the background is."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

from tracker.batch.run import JobReport

_RATE_WINDOW_S = 10.0  # the speed of the last seconds says how long the rest will take
_SAMPLES = 64


class TaskState(Enum):
    """Where a task stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"  # by the user; what was written before is kept
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """How far a task is."""

    number: int  # of the task, rising
    title: str
    state: TaskState = TaskState.WAITING
    activity: str = ""  # what it is at, where that isn't counting frames
    frames: int = 0
    total: int | None = None  # frames; None: unknown
    rate: float | None = None  # frames/s over the last seconds
    backend: str = ""
    message: str = ""  # why it failed, and what to do
    report: JobReport | None = None  # once it has ended without failing

    @property
    def share(self) -> float | None:
        """0..1 of its frames, None if unknown. Totals are estimates, so that it may stay at 1 for a while."""
        return min(self.frames / self.total, 1.0) if self.total else None

    @property
    def remaining_s(self) -> float | None:
        """Seconds that it will still take, None if unknown."""
        if self.total is None or not self.rate:
            return None
        return max(self.total - self.frames, 0) / self.rate

    @property
    def has_ended(self) -> bool:
        return self.state in (TaskState.DONE, TaskState.STOPPED, TaskState.FAILED)


class Progress:
    """What a running task tells, and is told."""

    def __init__(self, status: TaskStatus, publish: Callable[[TaskStatus], None]) -> None:
        self._status = status
        self._publish = publish
        self._times: deque[float] = deque([time.monotonic()], maxlen=_SAMPLES)  # when ``_counts`` frames were done
        self._counts: deque[int] = deque([0], maxlen=_SAMPLES)
        self._stop = threading.Event()

    def stop_wanted(self) -> bool:
        return self._stop.is_set()

    def request_stop(self) -> None:
        self._stop.set()

    def tell(self, activity: str) -> None:
        """What it is at now."""
        self._change(activity=activity)

    def begin(self, total: int | None, backend: str = "") -> None:
        """The frames come now."""
        self._times.clear()
        self._counts.clear()
        self._times.append(time.monotonic())
        self._counts.append(0)
        self._change(total=total, backend=backend, activity="")

    def advance(self) -> None:
        """One frame more."""
        now, frames = time.monotonic(), self._status.frames + 1
        if now - self._times[-1] >= _RATE_WINDOW_S / _SAMPLES:
            self._times.append(now)
            self._counts.append(frames)
        passed = now - self._times[0]
        self._change(frames=frames, rate=(frames - self._counts[0]) / passed if passed > 0.5 else None)

    def _change(self, **changes: object) -> None:
        self._status = replace(self._status, **changes)  # type: ignore[arg-type]
        self._publish(self._status)
