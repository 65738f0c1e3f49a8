"""Decoded frames that were shown lately, within a budget of bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

CACHE_BYTES = 256 << 20  # in the codec's own format 180 frames at 720p, 80 at 1080p

T = TypeVar("T")


class FrameCache(Generic[T]):
    """Frames by index; the one put in longest ago goes first, the newest always stays.

    Args:
        bytes_of: memory of a frame.
    """

    def __init__(self, bytes_of: Callable[[T], int], limit: int | None = None) -> None:
        self._bytes_of, self._limit = bytes_of, CACHE_BYTES if limit is None else limit
        self._frames: OrderedDict[int, T] = OrderedDict()
        self._bytes = 0

    def __contains__(self, index: int) -> bool:
        return index in self._frames

    def __getitem__(self, index: int) -> T:
        return self._frames[index]

    def __iter__(self) -> Iterator[int]:
        return iter(self._frames)

    def put(self, index: int, frame: T) -> None:
        if index in self._frames:
            self._frames.move_to_end(index)
            return
        self._frames[index] = frame
        self._bytes += self._bytes_of(frame)
        while self._bytes > self._limit and len(self._frames) > 1:
            _, oldest = self._frames.popitem(last=False)
            self._bytes -= self._bytes_of(oldest)

    def clear(self) -> None:
        self._frames.clear()
        self._bytes = 0
