"""The FrameSource protocol, and what the sources share: being iterated once, reading ahead, time ranges."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator, Iterator
from itertools import chain
from typing import Protocol, Self

from models.errors import FewmarkError
from tracker.sources.prefetch import Prefetch
from tracker.types import Frame, SourceInfo

READ_AHEAD = 4  # frames prepared ahead of the consumer


class FrameSource(Protocol):
    """Something that frames come out of, once, in presentation order.

    Single-threaded: open, iterate and close on one thread. A source is iterated once; a second iteration, or one after
    ``close``, raises RuntimeError. Frames are (H, W, 3) uint8 RGB, C-contiguous, upright, each at its own size;
    ``time_s`` rises strictly.

    Every source raises FewmarkError while it is opened if not one frame can be had, and names the source in it. What
    went wrong later without ending the run (damaged frames, a file that is cut off, an unreadable image in a folder)
    is in ``warnings``, one sentence each; read it after the iteration.
    """

    info: SourceInfo
    warnings: list[str]

    def __iter__(self) -> Iterator[Frame]: ...

    def close(self) -> None:
        """End threads and free the device or file. May be called twice."""
        ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class SingleUseSource(FrameSource):
    """A source that may be iterated once; ``_iterate`` is its iteration."""

    def __init__(self, name: str) -> None:
        self.warnings: list[str] = []
        self._name = name
        self._used = False

    def __iter__(self) -> Iterator[Frame]:
        if self._used:
            raise RuntimeError(f"{self._name}: a source is iterated once, before it is closed; open it again")
        self._used = True
        return self._iterate()

    @abstractmethod
    def _iterate(self) -> Iterator[Frame]: ...

    def close(self) -> None:
        self._used = True


class ReadAheadSource(SingleUseSource):
    """A source whose frames are prepared ahead in a thread while they are iterated; none is dropped."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._frames: Generator[Frame] | None = None
        self._first: Frame | None = None
        self._prefetch: Prefetch[Frame] | None = None

    def _start(self, frames: Generator[Frame]) -> Frame | None:
        """Take the frames to deliver and return the first of them, None if there is none."""
        self._frames = frames
        self._first = next(frames, None)
        return self._first

    def _iterate(self) -> Iterator[Frame]:
        if self._frames is None or self._first is None:
            raise RuntimeError(f"{self._name}: iterated before it was opened")
        ahead = chain([self._first], self._frames)
        self._first = None  # or it would stay in memory to the end
        with Prefetch(ahead, depth=READ_AHEAD, name="read ahead") as self._prefetch:
            yield from self._prefetch

    def close(self) -> None:
        super().close()
        if self._prefetch is not None:
            self._prefetch.close()
        if self._frames is not None:
            self._frames.close()


def check_time_range(name: str, start_s: float | None, end_s: float | None) -> None:
    """Raise FewmarkError unless ``[start_s, end_s)`` is a range of times [s] that can hold a frame."""
    for label, value in (("start", start_s), ("end", end_s)):
        if value is not None and not 0 <= value < float("inf"):
            raise FewmarkError(f"{name}: {label} {value:g} s is not a time; give seconds from 0 on")
    if end_s is not None and end_s <= (start_s or 0.0):
        raise FewmarkError(f"{name}: end {end_s:g} s is not after start {start_s or 0.0:g} s; give a later end")


def refuse_time_range(name: str, start_s: float | None, end_s: float | None) -> None:
    """Raise FewmarkError if a range was asked of a source that cannot be wound."""
    if start_s is not None or end_s is not None:
        raise FewmarkError(f"{name}: a start and an end can only be given for files; leave them out")
