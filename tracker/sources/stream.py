"""Frames from the network: RTSP, HTTP, UDP, RTMP, SRT and what else FFmpeg opens by address."""

from __future__ import annotations

import re
import time
from collections.abc import Generator, Iterator
from itertools import chain

import av
from av.codec.context import ThreadType

from models.errors import FewmarkError
from tracker.sources.base import SingleUseSource
from tracker.sources.decoding import DecodeTally, error_text
from tracker.sources.frame_maker import FrameMaker
from tracker.sources.presentation_clock import PresentationClock
from tracker.sources.video_input import VideoInput
from tracker.types import Frame

OPEN_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 5.0
RECONNECTS = 5  # attempts in a row, without a frame between them
FIRST_BACKOFF_S = 0.5  # doubled at each attempt: 0.5, 1, 2, 4, 8 s
# Packets over TCP: whole pictures before early ones. Not "nobuffer": it loses the frames that were read while probing.
_OPTIONS = {"rtsp_transport": "tcp"}
_END_TOLERANCE_S = 0.5

URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)  # at least two letters: C:// is a drive


class NetworkStream(SingleUseSource):
    """Frames of a network address. Nothing is read ahead: whoever needs the newest frame reads on in a thread.

    Live (``info.is_live``) unless the address announces a duration, as a recording on a web server does.

    A connection that ends, breaks, or is silent for ``read_timeout_s`` is opened again, up to ``reconnects`` times in a
    row, waiting ``first_backoff_s`` and twice as long each time; each loss is in ``warnings``. A recording carries on
    after the last frame that was delivered, and its end ends the iteration. ``time_s`` is the stream's presentation
    time; over the gap of a live stream the clock of this machine carries it on, so that it keeps rising.

    Raises FewmarkError on opening (not reachable, no video stream, no frame), and from the iteration once the
    connection is lost for good. Passwords in an address are shown in no message.
    """

    def __init__(
        self,
        url: str,
        *,
        open_timeout_s: float = OPEN_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
        reconnects: int = RECONNECTS,
        first_backoff_s: float = FIRST_BACKOFF_S,
    ) -> None:
        super().__init__(without_password(url))
        self._url = url
        self._timeouts_s = (open_timeout_s, read_timeout_s)
        self._reconnects = reconnects
        self._first_backoff_s = first_backoff_s
        self._tally = DecodeTally()
        try:
            self._input = self._open()
        except (av.FFmpegError, OSError) as error:
            raise FewmarkError(
                f"{self._name}: cannot be opened ({error_text(error)}); check the address and that it is being sent"
            ) from error
        self._frames = self._read()
        try:
            self._facts = self._input.facts
            self._is_live = self._facts.end_s is None
            self._clock = PresentationClock(self._facts)
            first = next(self._frames, None)
            if first is None:
                raise FewmarkError(f"{self._name}: no frame could be decoded; check what is being sent")
        except BaseException:
            self.close()
            raise
        self._first = first
        self.info = self._facts.source_info(self._name, first, is_live=self._is_live)

    def _iterate(self) -> Iterator[Frame]:
        return chain([self._first], self._frames)

    def close(self) -> None:
        super().close()
        self._frames.close()
        self._input.close()

    def _open(self) -> VideoInput:
        return VideoInput(self._url, self._name, threads=ThreadType.SLICE, options=_OPTIONS, timeout=self._timeouts_s)

    def _read(self) -> Generator[Frame]:
        index = 0
        failures = 0
        lost = False
        last_frame_at = 0.0  # perf_counter
        while True:
            maker: FrameMaker | None = None
            cause = "the sender closed it"
            try:
                if failures:
                    self._input.close()
                    self._input = self._open()
                for decoded in self._input.decode(self._tally):
                    if lost and not self._is_live and self._was_delivered(decoded):
                        continue
                    if lost and self._is_live:
                        gap_s = max(time.perf_counter() - last_frame_at, self._facts.step_s)
                        self._clock.carry_on_from(decoded, (self._clock.last_s or 0.0) + gap_s)
                    lost, failures, last_frame_at = False, 0, time.perf_counter()
                    maker = maker or self._input.frame_maker(decoded)
                    yield maker.frame(decoded, index, self._clock.time_of(decoded))
                    index += 1
            except (av.FFmpegError, OSError) as error:
                cause = error_text(error)
            if self._is_complete():
                break
            if index == 0:
                raise FewmarkError(f"{self._name}: connected, but no frame came ({cause}); check what is being sent")
            lost = True
            failures += 1
            if failures > self._reconnects:
                raise FewmarkError(
                    f"{self._name}: lost after {index} frames ({cause}); "
                    f"{self._reconnects} attempts to connect again failed; check the sender"
                )
            self.warnings.append(f"{self._name}: connection lost after {index} frames ({cause}); reconnecting")
            time.sleep(self._first_backoff_s * 2 ** (failures - 1))
        self.warnings += self._tally.warnings(self._name)

    def _was_delivered(self, frame: av.VideoFrame) -> bool:
        """Whether a recording that was opened again is still at frames that came before the loss."""
        last_s = self._clock.last_s
        return last_s is not None and frame.pts is not None and frame.pts * self._facts.time_base_s <= last_s

    def _is_complete(self) -> bool:
        some_came = self._clock.last_s is not None
        return not self._is_live and some_came and self._facts.reaches_end(self._clock.end_s, _END_TOLERANCE_S)


def without_password(url: str) -> str:
    """The address as it may be shown: ``rtsp://user:secret@host`` becomes ``rtsp://user:***@host``."""
    return re.sub(r"(://[^/@:]*):[^/@]*@", r"\1:***@", url)
