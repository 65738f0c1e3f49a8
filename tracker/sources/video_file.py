"""Frames of a video file, by presentation time."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path

import av

from models.errors import FewmarkError
from tracker.sources.base import ReadAheadSource, check_time_range
from tracker.sources.cut_off import is_whole, sign_of_cut
from tracker.sources.decoding import DecodeTally, error_text
from tracker.sources.file_kind import JPEG, read_head
from tracker.sources.frame_maker import FrameMaker
from tracker.sources.presentation_clock import PresentationClock
from tracker.sources.video_input import VideoInput
from tracker.types import Frame

_END_TOLERANCE_S = 0.25  # headers round durations, and edit lists trim a few frames


class VideoFile(ReadAheadSource):
    """All frames of a video file in presentation order; none is dropped, ever.

    ``time_s`` is the presentation time as the file has it: variable frame rates stay variable, and the first frame need
    not be at 0. ``start_s`` and ``end_s`` select presentation times in [start_s, end_s). ``index`` counts the frames of
    the whole file also then: the frames before the start are counted from the packets' times, without decoding. Where
    a file does not store the times that this needs (AVI, raw streams), or the seek misses, it is decoded from its
    beginning.

    A video whose size changes midway delivers each frame at its own size.

    Raises FewmarkError on opening: missing, empty or unreadable file, no video stream, no decodable frame, a start
    after the last frame. A file that is cut off or damaged delivers what can be decoded, then says so in ``warnings``.
    """

    def __init__(self, path: Path, *, start_s: float | None = None, end_s: float | None = None) -> None:
        super().__init__(str(path))
        self._path = path
        self._start_s = start_s
        self._end_s = end_s
        check_time_range(self._name, start_s, end_s)
        self._check_file()
        self._tally = DecodeTally()
        self._input = self._open()
        try:
            self._facts = self._input.facts
            self._clock = PresentationClock(self._facts)
            first = self._start(self._read())
            if first is None:
                raise FewmarkError(self._why_no_frame())
        except BaseException:
            self.close()
            raise
        self.info = self._facts.source_info(self._name, first, is_live=False)

    def close(self) -> None:
        super().close()
        self._input.close()

    def _check_file(self) -> None:
        try:
            if self._path.stat().st_size == 0:
                raise FewmarkError(f"{self._name}: the file is empty; give a video file")
        except OSError as error:
            raise FewmarkError(f"{self._name}: cannot be read ({error_text(error)}); check the path") from error

    def _open(self) -> VideoInput:
        try:
            return open_video(self._path)
        except (av.FFmpegError, OSError) as error:
            raise FewmarkError(
                f"{self._name}: cannot be opened as a video ({error_text(error)}); "
                "it is not a video, or was cut off before its index was written"
            ) from error

    def _read(self) -> Generator[Frame]:
        maker: FrameMaker | None = None
        reached_end = True
        try:
            for index, decoded in self._decode():
                time_s = self._clock.time_of(decoded)
                if self._start_s is not None and time_s < self._start_s:
                    continue
                if self._end_s is not None and time_s >= self._end_s:
                    reached_end = False
                    break
                maker = maker or self._input.frame_maker(decoded)
                yield maker.frame(decoded, index, time_s)
        except av.FFmpegError as error:
            self.warnings.append(f"{self._name}: reading stopped early ({error_text(error)}); the rest is missing")
        self.warnings += self._tally.warnings(self._name)
        self._warn_of_times()
        if reached_end:
            self._warn_if_cut_off()

    def _decode(self) -> Iterator[tuple[int, av.VideoFrame]]:
        """Decoded frames with their index in the file, from some frame at or before the start on."""
        target = self._locate_start()
        if target is not None:
            index, pts = target
            with suppress(av.FFmpegError):  # not every format can be wound
                self._input.seek(pts)
            frames = self._input.decode(self._tally)
            first = next((frame for frame in frames if frame.pts is not None and frame.pts >= pts), None)
            if first is not None and first.pts == pts:
                yield from enumerate(chain([first], frames), index)
                return
            self._input.close()
            self._input = self._open()
            self._tally = DecodeTally()
        yield from enumerate(self._input.decode(self._tally))

    def _locate_start(self) -> tuple[int, int] | None:
        """Index and pts of the first frame at or after the start, from packet times; None: decode from the front."""
        if not self._start_s or self._facts.decode_times_only:
            return None
        with self._open() as video:
            shown = next(video.decode(DecodeTally()), None)
        if shown is None or shown.pts is None:
            return None
        with self._open() as video:
            start = self._start_s / self._facts.time_base_s
            before, first = 0, None
            for packet in video.packets():
                if packet.pts is None:
                    return None
                if packet.pts < shown.pts:  # of an open group of pictures whose first ones were cut off
                    continue
                if packet.pts < start:
                    before += 1
                elif first is None or packet.pts < first:
                    first = packet.pts
                # Later packets are presented after their decoding time: none can come before ``first`` any more.
                if first is not None and packet.dts is not None and packet.dts > first:
                    break
        return None if first is None else (before, first)

    def _warn_of_times(self) -> None:
        if self._clock.frames_without_time:
            self.warnings.append(
                f"{self._name}: {self._clock.frames_without_time} frames have no usable presentation time; "
                f"placed {1000 * self._facts.step_s:.1f} ms after the frame before"
            )

    def _warn_if_cut_off(self) -> None:
        if self._clock.last_s is None or is_whole(self._path, self._input.format):
            return
        if not self._facts.reaches_end(self._clock.end_s, _END_TOLERANCE_S):
            self.warnings.append(
                f"{self._name}: ends at {self._clock.end_s:.2f} s, but its header announces {self._facts.end_s:.2f} s; "
                "the file is cut off"
            )
        elif sign := sign_of_cut(self._path, self._input.format):
            self.warnings.append(f"{self._name}: {sign}; the file is cut off")

    def _why_no_frame(self) -> str:
        if self._clock.last_s is None:
            cause = self._tally.first_error or "it holds no pictures"
            return f"{self._name}: no frame could be decoded ({cause}); the file is damaged"
        if self._start_s is not None and self._clock.last_s < self._start_s:
            return f"{self._name}: start {self._start_s:g} s lies after its last frame ({self._clock.last_s:.2f} s)"
        return (
            f"{self._name}: no frame lies between start and end; its frames nearest lie at {self._clock.last_s:.2f} s"
        )


def open_video(path: Path) -> VideoInput:
    """The video stream of a file. Raises as ``VideoInput`` and ``read_head`` do."""
    # FFmpeg goes by the name: of "a.jpg" it would read one picture. With "file:", a colon in a name is no protocol.
    container_format = "mjpeg" if read_head(path).startswith(JPEG) else None
    return VideoInput(f"file:{path}", str(path), container_format=container_format)
