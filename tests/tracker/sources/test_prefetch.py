"""The read-ahead thread: order, bound, errors, ending."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from tracker.sources.prefetch import Prefetch


def test_items_come_in_order_and_none_is_lost() -> None:
    with Prefetch(iter(range(500)), depth=3) as ahead:
        assert list(ahead) == list(range(500))
        assert list(ahead) == []


def test_it_stays_within_its_depth() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for i in range(100):
            made.append(i)
            yield i

    with Prefetch(items(), depth=4) as ahead:
        assert next(ahead) == 0
        time.sleep(0.1)
        assert len(made) <= 1 + 4 + 1  # taken, ready, one in the producer's hand
    assert not [t for t in threading.enumerate() if t.name == "prefetch"]


def test_an_error_comes_after_the_items_before_it_and_once() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise OSError("disk gone")

    with Prefetch(items()) as ahead:
        assert [next(ahead), next(ahead)] == [1, 2]
        with pytest.raises(OSError, match="disk gone"):
            next(ahead)
        with pytest.raises(StopIteration):
            next(ahead)


def test_closing_ends_the_thread_and_the_generator() -> None:
    closed_on: list[str] = []

    def items() -> Iterator[int]:
        try:
            while True:
                yield 0
        finally:
            closed_on.append(threading.current_thread().name)

    ahead = Prefetch(items(), depth=2, name="ahead")
    next(ahead)
    ahead.close()
    ahead.close()
    assert closed_on == ["ahead"]
    assert not [t for t in threading.enumerate() if t.name == "ahead"]
    with pytest.raises(StopIteration):
        next(ahead)


def test_a_depth_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="depth is 0"):
        Prefetch(iter([1]), depth=0)
