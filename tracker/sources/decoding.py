"""What video files and network streams share: the video stream, decoding, upright RGB, presentation times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import av
import cv2
import numpy as np
from av.buffer import Buffer
from av.container import InputContainer
from av.stream import Disposition
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from models.errors import FewmarkError
from tracker.types import ImageArray

FALLBACK_RATE = 25.0  # frames/s, where neither the times nor the header say anything
_DISCONTINUITY_S = 1.0  # a time that falls back by more than this is a new start, not two frames out of order


def video_stream(container: InputContainer, name: str) -> VideoStream:
    """The best video stream of ``container``; a cover picture is none. Raises FewmarkError if there is none."""
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        found = ", ".join(_describe_stream(stream) for stream in container.streams) or "nothing"
        raise FewmarkError(f"{name}: no video stream (found: {found}); give a file with a picture")
    best = container.streams.best("video")
    stream = best if isinstance(best, VideoStream) and best in streams else streams[0]
    if stream.codec_context is None:
        raise FewmarkError(f"{name}: its video codec has no decoder here; convert it to H.264")
    return stream


def _describe_stream(stream: av.stream.Stream) -> str:
    codec = stream.codec_context.name if stream.codec_context is not None else "unknown"
    return f"{stream.type}/{codec}" + (" cover picture" if stream.disposition & Disposition.attached_pic else "")


@dataclass(slots=True)
class DecodeTally:
    """What the decoder could not read, counted while it ran."""

    packets_failed: int = 0
    first_error: str = ""
    frames_damaged: int = 0

    def warnings(self, name: str) -> list[str]:
        texts = []
        if self.packets_failed:
            texts.append(f"{name}: {self.packets_failed} packets could not be decoded ({self.first_error}); skipped")
        if self.frames_damaged:
            texts.append(f"{name}: {self.frames_damaged} frames are damaged; delivered as the decoder mended them")
        return texts


def decode_frames(container: InputContainer, stream: VideoStream, tally: DecodeTally) -> Iterator[av.VideoFrame]:
    """Decode from the current position to the end, in presentation order.

    A packet that the decoder refuses is counted in ``tally`` and skipped. An error of the container or the network
    (av.FFmpegError) is raised after the frames that the decoder still held.
    """
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)  # the last packet is empty and flushes the decoder
        except av.FFmpegError:
            yield from _decode_packet(stream, None, tally)
            raise
        if packet is None:
            return
        yield from _decode_packet(stream, packet, tally)


def _decode_packet(
    stream: VideoStream, packet: av.Packet[VideoStream] | None, tally: DecodeTally
) -> list[av.VideoFrame]:
    try:
        frames = stream.decode(packet)
    except av.EOFError:  # the decoder was flushed before
        return []
    except av.FFmpegError as error:
        tally.packets_failed += 1
        tally.first_error = tally.first_error or error_text(error)
        return []
    tally.frames_damaged += sum(frame.is_corrupt for frame in frames)
    return frames


def error_text(error: BaseException) -> str:
    """The cause alone: FFmpeg's full text repeats an error number and the path."""
    return str(getattr(error, "strerror", None) or error)


class UprightRgb:
    """Convert decoded frames to (H, W, 3) uint8 RGB, C-contiguous, turned and mirrored as the display matrix says.

    The matrix is ISO/IEC 14496-12's ``a b u / c d v / x y w`` with x' = a x + c y, y' = b x + d y, y down.
    Angles other than multiples of 90 degrees take the nearest one.
    """

    def __init__(self, first: av.VideoFrame) -> None:
        # One reformatter for all frames: swscale's context costs more than the conversion itself.
        self._reformatter = VideoReformatter()
        side_data = cast(Buffer | None, first.side_data.get("DISPLAYMATRIX"))
        a, b, _, c, d = np.frombuffer(bytes(side_data), np.int32)[:5] if side_data is not None else (1, 0, 0, 0, 1)
        self._transpose = abs(b) + abs(c) > abs(a) + abs(d)
        self._flip_x, self._flip_y = (c < 0, b < 0) if self._transpose else (a < 0, d < 0)

    def __call__(self, frame: av.VideoFrame) -> ImageArray:
        # swscale's own threads cost more than they save below 4K.
        image = cast(ImageArray, self._reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray())
        if self._transpose:
            image = cast(ImageArray, cv2.transpose(image))
        if self._flip_x or self._flip_y:
            image = cast(ImageArray, cv2.flip(image, -1 if self._flip_x and self._flip_y else int(self._flip_x)))
        return np.ascontiguousarray(image)


class PresentationClock:
    """Strictly rising presentation times [s] for frames in presentation order.

    A frame's own time is taken where it has one that lies after the last; otherwise the mean rate carries on from the
    last. A fall back by more than a second (joined recordings) shifts all that follows. ``decode_times_only``: the
    container (AVI) stores one time per packet in decoding order, which belongs to the frames in presentation order.
    """

    def __init__(self, time_base_s: float, frame_rate: float | None, *, decode_times_only: bool = False) -> None:
        self._time_base_s = time_base_s
        self._step_s = 1.0 / (frame_rate or FALLBACK_RATE)
        self._decode_times_only = decode_times_only
        self._offset_s = 0.0
        self.last_s: float | None = None
        self.frames_without_time = 0

    def time_of(self, frame: av.VideoFrame) -> float:
        self.last_s = self._next_time(frame)
        return self.last_s

    def carry_on_from(self, frame: av.VideoFrame, time_s: float) -> None:
        """Shift the times that follow, so that ``frame`` will lie at ``time_s``."""
        stamp = self._stamp(frame)
        self._offset_s = 0.0 if stamp is None else time_s - stamp * self._time_base_s

    def _stamp(self, frame: av.VideoFrame) -> int | None:
        if self._decode_times_only and frame.dts is not None:
            return frame.dts
        return frame.pts if frame.pts is not None else frame.dts

    def _next_time(self, frame: av.VideoFrame) -> float:
        stamp = self._stamp(frame)
        if stamp is None:
            self.frames_without_time += 1
            return 0.0 if self.last_s is None else self.last_s + self._step_s
        time_s = stamp * self._time_base_s + self._offset_s
        if self.last_s is None or time_s > self.last_s:
            return time_s
        following_s = self.last_s + self._step_s
        if time_s < self.last_s - _DISCONTINUITY_S:
            self._offset_s += following_s - time_s
        elif not self._decode_times_only:
            self.frames_without_time += 1
        return following_s
