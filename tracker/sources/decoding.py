"""Packets into frames, and what could not be decoded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import av
from av.container import InputContainer
from av.video.stream import VideoStream


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
