"""The capture thread: opens a source, keeps it open, and puts its newest frame into a mailbox."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Event, Thread

from models.errors import FewmarkError
from tracker.live.events import EventKind, LiveEvent, Report
from tracker.live.mailbox import Mailbox, RateMeter
from tracker.live.playback import names_a_file
from tracker.live.settings import SourceRequest
from tracker.sources import FrameSource
from tracker.types import Frame, SourceInfo

_log = logging.getLogger(__name__)

RETRY_S = 2.0
RELEASE_S = 3.0  # for a device that was stopped to be free again
STALL_S = 1.5  # without a frame for so long, the user is told
_OWN_CLOCK_S = 1.0  # a frame that is younger by perf_counter was stamped with it
_LEAST_STEP_S = 1e-4  # between two frames


@dataclass(frozen=True, slots=True, eq=False)
class CapturedFrame:
    """A frame on its way to the tracker."""

    frame: Frame  # time_s rises over everything that one session captures
    captured_s: float  # perf_counter
    capture: int  # number of the ``Capture`` that it comes from: frames of another one don't follow this one
    round: int  # of a film that begins again at its end; nor do frames of another round
    info: SourceInfo


class Capture:
    """Reads one source in a thread of its own until it is stopped.

    A camera or a stream that fails is opened again every ``RETRY_S`` seconds; a file is not. A driver that blocks in
    its own read can't be interrupted: the thread then outlives ``join`` and ends with the driver's own time limit.
    """

    def __init__(
        self,
        number: int,
        request: SourceRequest,
        open_source: Callable[[SourceRequest], FrameSource],
        frames: Mailbox[CapturedFrame],
        report: Report,
        *,
        after: Capture | None = None,
    ) -> None:
        """
        Args:
            after: one that was stopped; it is waited for, as it may still hold the same device.
        """
        self.number, self.request = number, request
        self.rate = RateMeter()
        self._open_source, self._frames, self._report, self._after = open_source, frames, report, after
        self._stop = Event()
        self._running = False  # frames have come since it was opened last
        self._stalled = False
        self._frame_at_s = time.perf_counter()  # when the last frame came
        self._size: tuple[int, int] | None = None  # width and height of the last frame
        self._last_failure = ""
        self._index = 0
        self._round = 0
        self._time_s = 0.0  # of the last frame
        self._thread = Thread(target=self._run, name=f"capture {number}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Asks it to end; returns at once."""
        self._stop.set()

    def join(self, timeout_s: float) -> bool:
        """Waits for its end; False if it has not ended within ``timeout_s``."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def has_ended(self) -> bool:
        """Whether no frame will come any more."""
        return not self._thread.is_alive()

    def watch(self) -> None:
        """Tells the user once if no frame has come for a while. Called from time to time by another thread."""
        silent_s = time.perf_counter() - self._frame_at_s
        if self._running and not self._stalled and silent_s > STALL_S and not self._stop.is_set():
            self._stalled = True
            self._tell(
                EventKind.SOURCE_STALLED,
                f"{self.request.name}: no picture for {silent_s:.0f} s. It goes on by itself if the source comes back; "
                "otherwise check its cable.",
            )

    def _run(self) -> None:
        if self._after is not None:
            self._after.join(RELEASE_S)
            self._after = None
        while not self._stop.is_set():
            try:
                self._play()
                break
            except FewmarkError as error:
                if not self._wait_for_return(str(error)):
                    return
            except Exception as error:
                _log.exception("capture from %s failed", self.request.name)
                self._tell(EventKind.FAULT, f"{self.request.name}: reading it failed ({error!r}); start it again.")
                return
        self._tell(EventKind.SOURCE_ENDED, f"{self.request.name} has ended. Start it again.")

    def _wait_for_return(self, failure: str) -> bool:
        """After the source failed; False if it is not to be tried again."""
        was_running, self._running = self._running, False
        if names_a_file(self.request.spec):
            self._tell(EventKind.SOURCE_FAILED, failure)
            return False
        if failure != self._last_failure:
            kind = EventKind.SOURCE_LOST if was_running else EventKind.SOURCE_FAILED
            self._tell(kind, f"{failure}. It is tried again until it is there.")
        self._last_failure = failure
        self._stop.wait(RETRY_S)
        return True

    def _play(self) -> None:
        if not self._last_failure:
            self._tell(EventKind.SOURCE_OPENING, f"Opening {self.request.name} ...")
        warnings_told = 0
        offset_s: float | None = None
        index = -1
        with self._open_source(self.request) as source:
            for frame in source:
                if self._stop.is_set():
                    return
                now = time.perf_counter()
                if offset_s is None:
                    # A stream has its own clock, which begins anew when it is opened again; the others have this one.
                    offset_s = 0.0 if 0 <= now - frame.time_s < _OWN_CLOCK_S else now - frame.time_s
                self._round += frame.index < index
                index = frame.index
                self._deliver(frame, offset_s, now, source.info)
                for warning in source.warnings[warnings_told:]:
                    self._tell(EventKind.SOURCE_NOTE, warning)
                warnings_told = len(source.warnings)

    def _deliver(self, frame: Frame, offset_s: float, now: float, info: SourceInfo) -> None:
        self._frame_at_s = now
        self._note_state(frame, info)
        self._time_s = max(frame.time_s + offset_s, self._time_s + _LEAST_STEP_S)
        stamped = replace(frame, index=self._index, time_s=self._time_s)
        self._index += 1
        captured_s = now if offset_s else self._time_s
        self._frames.put(CapturedFrame(stamped, captured_s, self.number, self._round, info))
        self.rate.tick()

    def _note_state(self, frame: Frame, info: SourceInfo) -> None:
        height, width = frame.image.shape[:2]
        if not self._running or self._stalled:
            self._running, self._stalled, self._last_failure = True, False, ""
            self._tell(EventKind.SOURCE_RUNNING, f"{self.request.name}: {width}x{height}", info)
        elif self._size is not None and self._size != (width, height):
            was = "x".join(map(str, self._size))
            self._tell(EventKind.SOURCE_NOTE, f"{self.request.name}: now {width}x{height}, it was {was}.", info)
        self._size = width, height

    def _tell(self, kind: EventKind, text: str, info: SourceInfo | None = None) -> None:
        """Nothing once it was stopped: whoever stopped it has gone on to something else."""
        if not self._stop.is_set():
            self._report(LiveEvent(kind, text, info))
