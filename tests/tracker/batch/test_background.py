"""Tasks in the background: one after the other, told of, stopped, and none lost with another."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from models.errors import FewmarkError
from tracker.batch import Job, OutputChoice, Selection
from tracker.batch.background import BackgroundQueue, TrackerShelf, TrackingTask
from tracker.batch.progress import Progress, TaskState, TaskStatus
from tracker.batch.results import ResultsBuilder, read_results
from tracker.batch.run import JobReport
from tracker.config import TrackerConfig


@dataclass(slots=True)
class Counting:
    """Counts frames until it is done, stopped, or fails."""

    title: str
    frames: int = 3
    error: Exception | None = None
    may_go_on: threading.Event = field(default_factory=threading.Event)

    def run(self, progress: Progress, trackers: TrackerShelf) -> JobReport:
        report = JobReport(self.title)
        progress.begin(self.frames)
        self.may_go_on.wait(10)
        for _ in range(self.frames):
            if progress.stop_wanted():
                report.finished = False
                return report
            if self.error is not None:
                raise self.error
            progress.advance()
            report.frames += 1
        return report


def free(title: str, **more: object) -> Counting:
    task = Counting(title, **more)  # type: ignore[arg-type]
    task.may_go_on.set()
    return task


@pytest.fixture
def queue() -> Iterator[BackgroundQueue]:
    queue = BackgroundQueue(lambda: None)
    yield queue
    queue.request_end()
    assert queue.join(10)


def wait_for(queue: BackgroundQueue, number: int, *states: TaskState, timeout_s: float = 60.0) -> TaskStatus:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        status = queue.statuses()[number]
        if status.state in states:
            return status
        time.sleep(0.005)
    raise AssertionError(f"task {number} is {queue.statuses()[number]}")


def wait_until(condition: Callable[[], object], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_tasks_run_in_their_order_and_one_at_a_time(queue: BackgroundQueue) -> None:
    first, second = Counting("first"), Counting("second")
    numbers = [queue.submit(first), queue.submit(second)]
    wait_for(queue, numbers[0], TaskState.RUNNING)
    assert queue.statuses()[numbers[1]].state is TaskState.WAITING
    second.may_go_on.set()
    assert queue.statuses()[numbers[1]].state is TaskState.WAITING
    first.may_go_on.set()
    done = wait_for(queue, numbers[1], TaskState.DONE)
    assert (done.frames, done.total, done.share) == (3, 3, 1.0)
    assert done.report is not None
    assert done.report.frames == 3


def test_changes_are_told(queue: BackgroundQueue) -> None:
    calls: list[float] = []
    told = BackgroundQueue(lambda: calls.append(time.monotonic()))
    number = told.submit(free("one"))
    wait_for(told, number, TaskState.DONE)
    told.request_end()
    assert told.join(10)
    assert len(calls) >= 5


def test_a_failure_is_told_and_the_next_task_runs(queue: BackgroundQueue) -> None:
    bad = queue.submit(free("bad", error=FewmarkError("film.mp4: no video stream")))
    worse = queue.submit(free("worse", error=ZeroDivisionError("division by zero")))
    good = queue.submit(free("good"))
    assert wait_for(queue, good, TaskState.DONE).report is not None
    assert queue.statuses()[bad].state is TaskState.FAILED
    assert queue.statuses()[bad].message == "film.mp4: no video stream"
    assert "fault in the program (ZeroDivisionError" in queue.statuses()[worse].message


def test_waiting_and_running_tasks_can_be_stopped(queue: BackgroundQueue) -> None:
    running, waiting = Counting("running"), free("waiting")
    first, second = queue.submit(running), queue.submit(waiting)
    wait_for(queue, first, TaskState.RUNNING)
    queue.stop(second)
    assert queue.statuses()[second].state is TaskState.STOPPED
    queue.stop(first)
    running.may_go_on.set()
    stopped = wait_for(queue, first, TaskState.STOPPED, TaskState.DONE)
    assert stopped.state is TaskState.STOPPED
    assert stopped.report is not None
    assert stopped.report.frames == 0
    third = queue.submit(free("third"))
    wait_for(queue, third, TaskState.DONE)
    assert queue.statuses()[second].frames == 0
    queue.stop(third)  # has ended: nothing happens
    assert queue.statuses()[third].state is TaskState.DONE


def test_the_end_stops_what_runs_and_drops_what_waits() -> None:
    queue = BackgroundQueue(lambda: None)
    running = Counting("running", frames=10_000_000)
    running.may_go_on.set()
    first, second = queue.submit(running), queue.submit(free("waiting"))
    wait_for(queue, first, TaskState.RUNNING)
    queue.request_end()
    assert queue.join(10)
    assert queue.statuses()[first].state is TaskState.STOPPED
    assert queue.statuses()[second].state is TaskState.WAITING
    empty = BackgroundQueue(lambda: None)
    empty.request_end()
    assert empty.join(0)


def test_the_remaining_time_comes_from_the_last_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("tracker.batch.progress.time.monotonic", lambda: now)
    seen: list[TaskStatus] = []
    progress = Progress(TaskStatus(1, "film"), seen.append)
    now = 130.0  # the model was loaded
    progress.begin(1000)
    for _ in range(100):
        now += 0.1
        progress.advance()
    assert seen[-1].rate == pytest.approx(10, rel=0.02)
    assert seen[-1].remaining_s == pytest.approx(90, rel=0.02)
    for _ in range(300):
        now += 0.05
        progress.advance()
    assert seen[-1].rate == pytest.approx(20, rel=0.05)
    assert seen[-1].share == 0.4


def test_a_recording_is_tracked_and_its_results_grow_meanwhile(
    tmp_path: Path, queue: BackgroundQueue, shared_data: Path
) -> None:
    builders: list[ResultsBuilder] = []
    source = shared_data / "videos/head_turns_two_people.gif"
    job, out = Job(str(source), "film"), tmp_path / "out"
    task = TrackingTask(
        job, out, TrackerConfig(), OutputChoice(csv=True, jsonl=True), Selection(end_s=0.7), builders.append
    )
    status = wait_for(queue, queue.submit(task), TaskState.DONE, TaskState.FAILED)
    assert (status.message, status.title) == ("", "head_turns_two_people.gif")
    assert status.backend
    assert status.report is not None
    assert status.report.frames == status.frames == builders[0].snapshot().num_frames > 5
    on_disk = read_results(out / "film.jsonl")
    assert on_disk.num_frames == status.frames
    assert on_disk.source == str(source)

    before = {path: path.read_bytes() for path in out.iterdir()}
    builders.clear()
    again = queue.submit(task)
    wait_until(lambda: builders and builders[0].snapshot().num_frames > 0)
    queue.stop(again)
    status = wait_for(queue, again, TaskState.STOPPED, TaskState.DONE)
    assert status.state is TaskState.STOPPED
    assert status.report is not None
    assert status.report.kept_earlier
    assert {path: path.read_bytes() for path in out.iterdir()} == before

    missing = Job(str(tmp_path / "missing.mp4"), "missing")
    task = TrackingTask(missing, out, TrackerConfig(), OutputChoice(), Selection(), builders.append)
    status = wait_for(queue, queue.submit(task), TaskState.DONE, TaskState.FAILED)
    assert "no such file" in status.message
