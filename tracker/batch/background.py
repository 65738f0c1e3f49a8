"""Tracking and exporting in a thread of its own, one task after the other, while something else stays responsive."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from models.errors import FewmarkError
from tracker.batch.export import ExportRequest, export_results
from tracker.batch.jobs import Job
from tracker.batch.progress import Progress, TaskState, TaskStatus
from tracker.batch.results import ResultsBuilder
from tracker.batch.run import JobReport, expected_frames, run_job
from tracker.batch.settings import OutputChoice, Selection
from tracker.config import TrackerConfig
from tracker.following.pipeline import FaceTracker, open_tracker
from tracker.types import TrackingResult


class Task(Protocol):
    """Something that takes a while."""

    @property
    def title(self) -> str: ...

    def run(self, progress: Progress, trackers: TrackerShelf) -> JobReport:
        """Runs on the queue's thread, asking ``progress.stop_wanted`` between frames. Raises FewmarkError."""
        ...


class TrackerShelf:
    """Keeps the tracker that was used last: the next video mostly wants the same. For the queue's thread."""

    def __init__(self) -> None:
        self._tracker: FaceTracker | None = None

    def tracker(self, config: TrackerConfig, report: Callable[[str], None]) -> FaceTracker:
        """A tracker of this configuration; errors and ``report`` as for ``tracker.following.pipeline.open_tracker``."""
        if self._tracker is not None and self._tracker.config == config:
            return self._tracker
        self.close()
        self._tracker = open_tracker(config, report=report)
        return self._tracker

    def close(self) -> None:
        if self._tracker is not None:
            self._tracker.close()
            self._tracker = None


@dataclass(frozen=True, slots=True)
class TrackingTask:
    """One source through the tracker; its files replace those of an earlier run once they are whole."""

    job: Job
    out: Path
    config: TrackerConfig
    choice: OutputChoice
    selection: Selection
    on_results: Callable[[ResultsBuilder], None]  # is given, on the queue's thread, what grows while it runs

    @property
    def title(self) -> str:
        return Path(self.job.name).name

    def run(self, progress: Progress, trackers: TrackerShelf) -> JobReport:
        progress.tell("loading the model")
        tracker = trackers.tracker(self.config, progress.tell)
        builder = ResultsBuilder(tracker.model.scheme, model=tracker.model.name, source=self.job.spec)
        self.on_results(builder)
        progress.tell("opening the video")

        def on_result(result: TrackingResult) -> None:
            builder.append(result)
            progress.advance()

        return run_job(
            self.job,
            tracker,
            self.choice,
            self.out,
            selection=self.selection,
            overwrite=True,
            keep_earlier=True,
            on_open=lambda info: progress.begin(expected_frames(info, self.selection), tracker.backend.name),
            on_result=on_result,
            should_stop=progress.stop_wanted,
        )


@dataclass(frozen=True, slots=True)
class ExportTask:
    """Files from stored results."""

    request: ExportRequest

    @property
    def title(self) -> str:
        return f"Export of {Path(self.request.spec).name}"

    def run(self, progress: Progress, trackers: TrackerShelf) -> JobReport:
        return export_results(
            self.request,
            on_open=progress.begin,
            on_result=lambda result: progress.advance(),
            should_stop=progress.stop_wanted,
        )


class BackgroundQueue:
    """Runs tasks one after the other. All methods may be called from any thread; none waits but ``join``.

    Args:
        on_change: is called, on any thread, whenever ``statuses`` has changed: for every frame. It has to be quick.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._changed = threading.Condition()
        self._numbers = itertools.count(1)
        self._waiting: deque[tuple[int, Task]] = deque()
        self._statuses: dict[int, TaskStatus] = {}
        self._running: tuple[int, Progress] | None = None
        self._closed = False
        self._thread: threading.Thread | None = None  # started with the first task

    def submit(self, task: Task) -> int:
        """Puts a task at the end; returns its number."""
        with self._changed:
            number = next(self._numbers)
            self._statuses[number] = TaskStatus(number, task.title)
            self._waiting.append((number, task))
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="background tasks", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        self._on_change()
        return number

    def stop(self, number: int) -> None:
        """Takes a waiting task out; asks a running one to complete its files and end."""
        with self._changed:
            if self._running is not None and self._running[0] == number:
                self._running[1].request_stop()
                return
            before = len(self._waiting)
            self._waiting = deque(entry for entry in self._waiting if entry[0] != number)
            if len(self._waiting) == before:
                return
            self._statuses[number] = replace(self._statuses[number], state=TaskState.STOPPED)
        self._on_change()

    def statuses(self) -> dict[int, TaskStatus]:
        """Number -> status of every task so far, in their order."""
        with self._changed:
            return dict(self._statuses)

    def request_end(self) -> None:
        """Stops everything; what is being written is completed, and then the thread ends."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            if self._running is not None:
                self._running[1].request_stop()
            self._changed.notify_all()

    def join(self, timeout_s: float | None = None) -> bool:
        """Waits for the end of the thread; whether it has ended within ``timeout_s``."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout_s)
        return thread is None or not thread.is_alive()

    def _publish(self, status: TaskStatus) -> None:
        with self._changed:
            self._statuses[status.number] = status
        self._on_change()

    def _run(self) -> None:
        trackers = TrackerShelf()
        try:
            while (entry := self._next(trackers)) is not None:
                number, task, progress = entry
                self._publish(self._work(number, task, progress, trackers))
        finally:
            trackers.close()

    def _next(self, trackers: TrackerShelf) -> tuple[int, Task, Progress] | None:
        with self._changed:
            self._running = None
            if not self._waiting:
                trackers.close()  # nothing to do: the memory is wanted elsewhere
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if self._closed:
                return None
            number, task = self._waiting.popleft()
            progress = Progress(replace(self._statuses[number], state=TaskState.RUNNING), self._publish)
            self._running = (number, progress)
        return number, task, progress

    def _work(self, number: int, task: Task, progress: Progress, trackers: TrackerShelf) -> TaskStatus:
        progress.tell("starting")
        try:
            report = task.run(progress, trackers)
        except FewmarkError as error:
            return replace(self.statuses()[number], state=TaskState.FAILED, activity="", message=str(error))
        except Exception as error:  # a fault of one task must not lose the others; it is told like any failure
            message = f"{task.title}: stopped by a fault in the program ({error!r}); the other tasks go on"
            return replace(self.statuses()[number], state=TaskState.FAILED, activity="", message=message)
        state = TaskState.DONE if report.finished else TaskState.STOPPED
        return replace(self.statuses()[number], state=state, activity="", report=report)
