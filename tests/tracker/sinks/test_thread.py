"""Sinks in a thread of their own: the order, waiting, errors, the end."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from models.errors import FewmarkError
from tracker.sinks import ResultSink, ThreadedSink
from tracker.sinks.sink_thread import QUEUE_RESULTS
from tracker.types import Frame, TrackingResult

PATIENCE_S = 60.0


class Keeping(ResultSink):
    """Keeps the indices of what it is given; fails at one of them."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.indices: list[int] = []
        self.threads: set[int] = set()
        self.closed = 0
        self.may_write = threading.Event()
        self.may_write.set()
        self._fails_at = fails_at

    def write(self, result: TrackingResult) -> None:
        assert self.may_write.wait(PATIENCE_S)
        if result.frame.index == self._fails_at:
            raise FewmarkError("the disk is full")
        self.indices.append(result.frame.index)
        self.threads.add(threading.get_ident())

    def close(self) -> None:
        self.closed += 1


def result(index: int) -> TrackingResult:
    return TrackingResult(Frame(np.zeros((2, 2, 3), np.uint8), index, index / 25), ())


def test_all_sinks_get_everything_in_order_in_one_other_thread() -> None:
    first, second = Keeping(), Keeping()
    with ThreadedSink([first, second]) as sink:
        for i in range(50):
            sink.write(result(i))
    assert first.indices == second.indices == list(range(50))
    assert first.threads == second.threads
    assert len(first.threads) == 1
    assert threading.get_ident() not in first.threads
    assert (first.closed, second.closed) == (1, 1)
    sink.close()
    assert first.closed == 1


def test_no_more_results_wait_than_the_queue_holds() -> None:
    slow = Keeping()
    slow.may_write.clear()
    sink = ThreadedSink([slow])
    written = 0

    def write() -> None:
        nonlocal written
        for i in range(QUEUE_RESULTS + 5):
            sink.write(result(i))
            written += 1

    writer = threading.Thread(target=write)
    writer.start()
    writer.join(0.3)
    assert writer.is_alive()
    assert written <= QUEUE_RESULTS + 1  # one of them is being written
    slow.may_write.set()
    writer.join(PATIENCE_S)
    sink.close()
    assert slow.indices == list(range(QUEUE_RESULTS + 5))


def test_an_error_is_raised_by_a_later_write_and_ends_the_writing() -> None:
    failing, after = Keeping(fails_at=3), Keeping()
    sink = ThreadedSink([failing, after])

    def write_on() -> None:
        for i in range(10_000):
            sink.write(result(i))

    with pytest.raises(FewmarkError, match="the disk is full"):
        write_on()
    sink.close()  # told once
    assert failing.indices == after.indices == [0, 1, 2]
    assert (failing.closed, after.closed) == (1, 1)


def test_an_error_of_the_last_write_is_raised_by_close() -> None:
    failing = Keeping(fails_at=0)
    failing.may_write.clear()
    sink = ThreadedSink([failing])
    sink.write(result(0))
    failing.may_write.set()
    with pytest.raises(FewmarkError, match="the disk is full"):
        sink.close()
    assert failing.closed == 1


def test_an_interrupted_run_writes_what_it_has_taken() -> None:
    keeping = Keeping()

    def run() -> None:
        with ThreadedSink([keeping]) as sink:
            for i in range(5):
                sink.write(result(i))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    assert keeping.indices == list(range(5))
    assert keeping.closed == 1
