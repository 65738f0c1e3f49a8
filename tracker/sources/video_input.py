"""The video stream of a file or an address, opened to be decoded: what files, network streams and playback share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Self

import av
from av.codec.context import ThreadType
from av.stream import Disposition
from av.video.stream import VideoStream

from models.errors import FewmarkError
from tracker.geometry.pixel_aspect import believed_aspect
from tracker.sources.decoding import DecodeTally, decode_frames
from tracker.sources.frame_maker import FrameMaker
from tracker.sources.media_facts import MediaFacts


class VideoInput:
    """The best video stream of what lies at ``address``.

    Args:
        address: as FFmpeg takes it.
        name: what messages call it.
        threads: AUTO decodes fastest, but may hold one frame per thread back; SLICE gives each at once.
        container_format: FFmpeg's name of it, where the content alone could mislead; None: found out.
        options, timeout: as for ``av.open``; seconds.

    Raises:
        av.FFmpegError, OSError: it can't be opened.
        FewmarkError: it has no video stream, or one without a decoder here.
    """

    def __init__(
        self,
        address: str,
        name: str,
        *,
        threads: ThreadType = ThreadType.AUTO,
        container_format: str | None = None,
        options: Mapping[str, str] | None = None,
        timeout: tuple[float, float] | None = None,
    ) -> None:
        self.container = av.open(
            address, format=container_format, options=dict(options or {}), timeout=timeout, metadata_errors="replace"
        )
        try:
            self.stream = video_stream(self.container, name)
        except BaseException:
            self.container.close()
            raise
        self.stream.codec_context.thread_type = threads

    @cached_property
    def facts(self) -> MediaFacts:
        """What the header says."""
        return MediaFacts.of(self.container, self.stream)

    @property
    def format(self) -> str:
        """FFmpeg's name of the container's format."""
        return str(self.container.format.name)

    def decode(self, tally: DecodeTally) -> Iterator[av.VideoFrame]:
        """Frames from the current position to the end, see ``decode_frames``."""
        return decode_frames(self.container, self.stream, tally)

    def frame_maker(self, first: av.VideoFrame) -> FrameMaker:
        """What makes frames of the pictures that it decodes, of which ``first`` is one.

        A pixel aspect that changes midway is not followed: PyAV does not say a picture's own.
        """
        return FrameMaker(first, believed_aspect(self.stream.sample_aspect_ratio))

    def packets(self) -> Iterator[av.Packet[VideoStream]]:
        """What is to be decoded, in decoding order. Raises av.FFmpegError where the file ends early."""
        for packet in self.container.demux(self.stream):
            if packet.size and not packet.is_discard:
                yield packet

    def seek(self, pts: int) -> None:
        """To the keyframe at or before ``pts``, in the stream's time base. Raises av.FFmpegError."""
        self.container.seek(pts, stream=self.stream)

    def close(self) -> None:
        self.container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def video_stream(container: av.container.InputContainer, name: str) -> VideoStream:
    """The best video stream of ``container``; a cover picture is none. Raises FewmarkError if there is none."""
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        found = ", ".join(_describe_stream(stream) for stream in container.streams) or "nothing"
        raise FewmarkError(f"{name}: no video stream (found: {found}); give a file with a picture")
    moving = [stream for stream in streams if stream.frames != 1] or streams  # a cover that is not marked as one
    best = container.streams.best("video")
    stream = best if isinstance(best, VideoStream) and best in moving else moving[0]
    if stream.codec_context is None:
        raise FewmarkError(f"{name}: its video codec has no decoder here; convert it to H.264")
    return stream


def _describe_stream(stream: av.stream.Stream) -> str:
    codec = stream.codec_context.name if stream.codec_context is not None else "unknown"
    return f"{stream.type}/{codec}" + (" cover picture" if stream.disposition & Disposition.attached_pic else "")
