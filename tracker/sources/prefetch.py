"""Run an iterator ahead in a thread of its own, so that decoding overlaps with processing."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, Self, TypeVar

T = TypeVar("T")


class Prefetch(Generic[T]):
    """An iterator over ``items`` that stays up to ``depth`` items ahead of its consumer. Nothing is ever dropped.

    An exception of ``items`` is raised in the consumer, after the items that came before it. ``close`` ends the thread
    and waits for it; so does leaving the ``with`` block. A generator given as ``items`` is closed on the thread.
    """

    def __init__(self, items: Iterator[T], *, depth: int = 4, name: str = "prefetch") -> None:
        if depth < 1:
            raise ValueError(f"depth is {depth}, must be at least 1")
        self._items = items
        self._depth = depth
        self._ready: deque[T] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._finished = False
        self._error: BaseException | None = None
        # A daemon: an interpreter that exits mid-iteration must not wait for a consumer that is gone.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._finished or self._closed)
            if self._ready:
                item = self._ready.popleft()
                self._changed.notify_all()
                return item
            error, self._error = self._error, None
        if error is not None:
            raise error
        raise StopIteration

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the thread, wait until it has ended, drop what was prepared. May be called twice."""
        with self._changed:
            self._closed = True
            self._ready.clear()
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            for item in self._items:
                if not self._put(item):
                    break
        except BaseException as caught:  # handed over whole: the consumer decides
            error = caught
        finally:
            close = getattr(self._items, "close", None)
            if close is not None:
                close()
            with self._changed:
                self._error = error
                self._finished = True
                self._changed.notify_all()

    def _put(self, item: T) -> bool:
        """Hand one item over; False once the consumer has closed."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._ready) < self._depth or self._closed)
            if self._closed:
                return False
            self._ready.append(item)
            self._changed.notify_all()
            return True
