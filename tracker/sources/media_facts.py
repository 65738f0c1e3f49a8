"""What a container's header and index say of a video before it is decoded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from tracker.types import Frame, SourceInfo

FALLBACK_RATE = 25.0  # frames/s, where neither the times nor the header say anything
_INDEX_SAMPLE = 4000  # index entries looked at for the rate
_STEADY = 0.9  # share of frame intervals that must lie near the median for a rate to be stated
_HIGHEST_RATE = 1000.0  # frames/s; what is above is the time base, which some headers state in the rate's place
_TELL_THE_END = ("matroska,webm", "nut", "asf")  # formats whose duration counts from 0, not from the first frame


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """What is known of a video before it is decoded."""

    frame_rate: float | None  # see ``frame_rate``
    frame_count: int | None  # see ``frame_count``
    end_s: float | None  # presentation time at which the last frame ends; None: not announced
    has_audio: bool
    time_base_s: float  # see ``time_base_s``
    decode_times_only: bool  # AVI: each packet has one time, that of its place in decoding order

    @classmethod
    def of(cls, container: InputContainer, stream: VideoStream) -> MediaFacts:
        duration = duration_s(container, stream)
        start_s = (stream.start_time or 0) * time_base_s(stream)
        return cls(
            frame_rate=frame_rate(stream),
            frame_count=frame_count(container, stream),
            end_s=None if duration is None else start_s + duration,
            has_audio=bool(container.streams.audio),
            time_base_s=time_base_s(stream),
            decode_times_only=container.format.name == "avi",
        )

    @property
    def step_s(self) -> float:
        """Seconds from one frame to the next where their times don't say."""
        return 1.0 / (self.frame_rate or FALLBACK_RATE)

    def source_info(self, name: str, first: Frame, *, is_live: bool) -> SourceInfo:
        """The same for the tracker; the ``first`` frame has the size of all."""
        height, width = first.image.shape[:2]
        count = None if is_live else self.frame_count
        return SourceInfo(
            name,
            width,
            height,
            self.frame_rate,
            count,
            is_live,
            has_audio=self.has_audio,
            pixel_aspect=first.pixel_aspect,
        )

    def reaches_end(self, end_s: float, tolerance_s: float) -> bool:
        """Whether nothing is announced after the frame that ends at ``end_s``; three frames may always be missing."""
        return self.end_s is None or end_s >= self.end_s - max(tolerance_s, 3 * self.step_s)


def frame_rate(stream: VideoStream) -> float | None:
    """Mean frames/s; None if unknown, or if the intervals vary too much to state one.

    The index is believed before the header.
    """
    if _has_frame_index(stream):
        entries = [entry for entry in stream.index_entries[:_INDEX_SAMPLE] if not entry.is_discard]
        intervals = np.diff(np.array([entry.timestamp for entry in entries], dtype=np.float64))
        near = intervals[np.abs(intervals - np.median(intervals)) <= 0.1 * np.median(intervals)]
        if not near.size or near.size < _STEADY * intervals.size or near.mean() <= 0:
            return None
        return 1.0 / (float(near.mean()) * time_base_s(stream))
    rates = [stream.average_rate, stream.guessed_rate, stream.base_rate]
    if stream.start_time is None:  # a bare stream: its average is the demuxer's guess, the decoder may know better
        rates.insert(0, stream.guessed_rate)
    elif stream.frames and stream.duration:
        rates.insert(0, stream.frames / (stream.duration * Fraction(stream.time_base or 1)))
    return next((float(rate) for rate in rates if rate and rate <= _HIGHEST_RATE), None)


def frame_count(container: InputContainer, stream: VideoStream) -> int | None:
    """An estimate of the number of frames, None if nothing is known."""
    if stream.frames:
        discarded = sum(entry.is_discard for entry in stream.index_entries[:_INDEX_SAMPLE])
        return min(stream.frames, len(stream.index_entries)) - discarded if _has_frame_index(stream) else stream.frames
    duration = duration_s(container, stream)
    rate = frame_rate(stream)
    return max(1, round(duration * rate)) if duration and rate else None


def duration_s(container: InputContainer, stream: VideoStream) -> float | None:
    """Seconds from the first frame to the end that the header announces, None if it says nothing of that stream."""
    announced = _announced_s(container, stream)
    start_s = (stream.start_time or 0) * time_base_s(stream)
    if announced is not None and container.format.name in _TELL_THE_END and announced > start_s:
        return announced - start_s
    return announced


def _announced_s(container: InputContainer, stream: VideoStream) -> float | None:
    if container.format.name == "avi" and stream.frames and stream.average_rate:
        return stream.frames / float(stream.average_rate)  # the stream's duration follows the index, which may be cut
    if stream.duration and (container.format.name != "asf" or len(container.streams) == 1):
        return stream.duration * time_base_s(stream)
    matroska = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", "").strip())
    if matroska:
        return int(matroska[1]) * 3600 + int(matroska[2]) * 60 + float(matroska[3])
    # The container's duration, like any of ASF, is that of its longest stream: it says something of the picture only
    # where that is alone.
    if container.duration and len(container.streams) == 1:
        return container.duration / 1e6
    return None


def time_base_s(stream: VideoStream) -> float:
    """Seconds per unit of the stream's time stamps."""
    return float(stream.time_base) if stream.time_base else 1.0 / 90_000


def _has_frame_index(stream: VideoStream) -> bool:
    """Whether the index lists frames, not keyframes alone."""
    entries = stream.index_entries
    if len(entries) < 3:
        return False
    if stream.container.format.name == "avi":  # its header also counts empty frames
        return True
    return len(entries) == stream.frames or any(not entry.is_keyframe for entry in entries[:_INDEX_SAMPLE])
