"""How the live threads hand things on: the newest item only, or one at a time."""

from __future__ import annotations

import time
from collections import deque
from threading import Condition
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Holds the newest item; one that was not taken in time is replaced, and counted in ``replaced``."""

    def __init__(self) -> None:
        self.replaced = 0
        self._changed = Condition()
        self._item: T | None = None

    def put(self, item: T) -> bool:
        """Hands an item over without waiting; returns whether the box was empty."""
        with self._changed:
            was_empty = self._item is None
            self.replaced += not was_empty
            self._item = item
            self._changed.notify()
        return was_empty

    def take(self, timeout_s: float = 0.0) -> T | None:
        """The newest item, None if there is none within ``timeout_s``."""
        with self._changed:
            if self._item is None and timeout_s > 0:
                self._changed.wait_for(lambda: self._item is not None, timeout_s)
            item, self._item = self._item, None
        return item

    def clear(self) -> None:
        """Forgets the item and the count."""
        with self._changed:
            self._item, self.replaced = None, 0


class Handover(Generic[T]):
    """Holds one item, which is never replaced: whoever brings the next one waits until it is taken."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._item: T | None = None
        self._woken = False

    def put(self, item: T, timeout_s: float) -> bool:
        """Hands an item over as soon as there is room; False if there was none within ``timeout_s``."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._item is None, timeout_s):
                return False
            self._item = item
            self._changed.notify_all()
        return True

    def take(self, timeout_s: float) -> T | None:
        """The item; None if there is none within ``timeout_s``, or at once after ``wake``."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._woken, timeout_s)
            item, self._item, self._woken = self._item, None, False
            self._changed.notify_all()
        return item

    def wake(self) -> None:
        """Lets a waiting ``take`` return."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()


class RateMeter:
    """How often something happens per second, over the last two seconds. Any thread may ask."""

    _SPAN_S = 2.0

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=512)  # perf_counter

    def tick(self) -> None:
        self._times.append(time.perf_counter())

    def clear(self) -> None:
        self._times.clear()

    @property
    def rate(self) -> float | None:
        """1/s; None where there is too little to tell."""
        now = time.perf_counter()
        recent = [t for t in tuple(self._times) if now - t <= self._SPAN_S]
        if len(recent) < 2 or recent[-1] <= recent[0]:
            return None
        span_s, intervals = recent[-1] - recent[0], len(recent) - 1
        if now - recent[-1] > 3 * span_s / intervals:  # stalled: the rate falls instead of standing still
            span_s = now - recent[0]
        return intervals / span_s
