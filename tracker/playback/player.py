"""Plays a recording in a thread of its own: every frame at its time, or the one that was asked for last."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.errors import FewmarkError
from tracker.playback.opening import open_reader
from tracker.playback.reader import FrameReader
from tracker.types import Frame, SourceInfo

SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0)  # times the recording's own
_AFTER_LAST_S = 0.04  # the last frame's duration, before a loop begins again
_MOST_BEHIND_S = 0.25  # when decoding falls further behind the clock, the clock waits


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """The recording can be shown."""

    info: SourceInfo
    time_s: NDArray[np.float64]  # (N,) presentation times of all frames


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A frame whose turn it is."""

    frame: Frame
    playing: bool  # False: it stays


@dataclass(frozen=True, slots=True)
class Failed:
    """The recording can't be shown, or not any further."""

    message: str  # what was wrong and what to do


PlayerEvent = Opened | Shown | Failed


class Player:
    """Shows the frames of one recording, beginning with the first, paused.

    All methods may be called from any thread and return at once; of several requests the newest counts. When frames
    can't be decoded in time the clock goes on and frames are left out.

    Args:
        deliver: takes the events, on the player's thread; while it runs, time goes on and frames are left out.
        film_rate: as in ``open_reader``.
    """

    def __init__(self, path: Path, deliver: Callable[[PlayerEvent], None], *, film_rate: float | None = None) -> None:
        self._path, self._deliver, self._film_rate = path, deliver, film_rate
        self._changed = threading.Condition()
        self._closed = False
        self._wanted: int | None = 0  # a frame that was asked for
        self._playing = False
        self._loop = False
        self._speed = 1.0
        self._shown = 0
        self._started = (0.0, 0.0)  # monotonic clock and presentation time between which playing began
        self._time_s: NDArray[np.float64] = np.empty(0)
        self._thread = threading.Thread(target=self._run, name=f"play {path.name}", daemon=True)
        self._thread.start()

    def play(self) -> None:
        """Goes on from the frame that is shown; at the end, from the beginning."""
        with self._changed:
            at_end = len(self._time_s) > 0 and self._target() >= len(self._time_s) - 1
            if at_end:
                self._wanted = 0
            self._playing = True
            self._restart_clock()
            self._changed.notify_all()

    def pause(self) -> None:
        """Stays at the frame that is shown."""
        with self._changed:
            if self._playing:
                self._playing = False
                self._wanted = self._target()
            self._changed.notify_all()

    def seek(self, index: int) -> None:
        """Shows the frame at ``index``, or the nearest there is; goes on playing from there if it was playing."""
        with self._changed:
            self._wanted = self._clamped(index)
            self._restart_clock()
            self._changed.notify_all()

    def step(self, frames: int) -> None:
        """Stops, so many frames after the one that is shown; before it if negative."""
        with self._changed:
            self._playing = False
            self._wanted = self._clamped(self._target() + frames)
            self._changed.notify_all()

    def show_again(self) -> None:
        """Delivers the frame that is shown once more, as when something else is to be drawn on it."""
        with self._changed:
            if not self._playing:
                self._wanted = self._target()
            self._changed.notify_all()

    def set_speed(self, speed: float) -> None:
        """Times the recording's own."""
        with self._changed:
            self._speed = speed
            self._restart_clock()
            self._changed.notify_all()

    def set_loop(self, loop: bool) -> None:
        """Whether playing begins again after the last frame."""
        with self._changed:
            self._loop = loop
            self._changed.notify_all()

    def request_end(self) -> None:
        """Begins to end the thread; from now on the other methods do nothing."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def join(self, timeout_s: float | None = None) -> bool:
        """Waits for the end of the thread, not from ``deliver``; whether it has ended within ``timeout_s``."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # Under the lock.

    def _target(self) -> int:
        return self._shown if self._wanted is None else self._wanted

    def _clamped(self, index: int) -> int:
        last = len(self._time_s) - 1
        return index if last < 0 else min(max(index, 0), last)

    def _restart_clock(self) -> None:
        if len(self._time_s):
            self._started = (time.monotonic(), float(self._time_s[self._clamped(self._target())]))

    def _due(self) -> int:
        """The frame whose turn it is while playing."""
        if (behind_s := -self._until_next_s(self._shown) - _MOST_BEHIND_S) > 0:
            self._started = (self._started[0] + behind_s, self._started[1])
        began, from_s = self._started
        position_s = from_s + (time.monotonic() - began) * self._speed
        return max(int(np.searchsorted(self._time_s, position_s, side="right")) - 1, 0)

    def _until_next_s(self, index: int) -> float:
        began, from_s = self._started
        next_s = self._time_s[index + 1] if index + 1 < len(self._time_s) else self._time_s[-1] + _AFTER_LAST_S
        return float(began + (next_s - from_s) / self._speed - time.monotonic())

    # On the thread.

    def _run(self) -> None:
        try:
            with open_reader(self._path, film_rate=self._film_rate) as reader:
                with self._changed:
                    self._time_s = reader.time_s
                    self._wanted = self._clamped(self._target())
                    self._restart_clock()
                self._deliver(Opened(reader.info, reader.time_s))
                while (turn := self._next_turn()) is not None:
                    self._show(reader, *turn)
        except FewmarkError as error:
            self._deliver(Failed(str(error)))
        except BaseException as error:
            self._deliver(Failed(f"{self._path}: playing stopped by a fault in the program ({error!r}); open it again"))
            raise

    def _show(self, reader: FrameReader, index: int, playing: bool) -> None:
        try:
            frame = reader.read(index, lambda: self._closed)
        except FewmarkError as error:
            self.pause()
            with self._changed:
                self._shown, self._wanted = index, None
            self._deliver(Failed(str(error)))
            return
        if frame is not None:
            self._deliver(Shown(frame, playing))

    def _next_turn(self) -> tuple[int, bool] | None:
        """Waits for the next frame to show, and whether it is shown in passing; None: closed."""
        with self._changed:
            while not self._closed:
                if self._wanted is not None:
                    self._shown, self._wanted = self._wanted, None
                    return self._shown, self._playing
                if not self._playing:
                    self._changed.wait()
                    continue
                due = self._due()
                last = len(self._time_s) - 1
                if due >= last and self._shown == last:
                    if self._until_next_s(last) > 0:
                        self._changed.wait(self._until_next_s(last))
                    elif self._loop and last > 0:
                        self._wanted = 0
                        self._restart_clock()
                    else:
                        self._playing = False
                        self._wanted = last  # told once more, as it stays now
                elif due > self._shown:
                    self._shown = due
                    return due, True
                else:
                    self._changed.wait(max(self._until_next_s(self._shown), 0.0))
            return None
