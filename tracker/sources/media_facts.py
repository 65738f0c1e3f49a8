"""What a container's header and index say of a video before it is decoded."""

from __future__ import annotations

import re

import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

_INDEX_SAMPLE = 4000  # index entries looked at for the rate
_STEADY = 0.9  # share of frame intervals that must lie near the median for a rate to be stated


def frame_rate(stream: VideoStream) -> float | None:
    """Mean frames/s; None if unknown, or if the intervals vary too much to state one.

    The index is believed before the header: an AVI's header also counts empty frames.
    """
    if _has_frame_index(stream):
        entries = [entry for entry in stream.index_entries[:_INDEX_SAMPLE] if not entry.is_discard]
        intervals = np.diff(np.array([entry.timestamp for entry in entries], dtype=np.float64))
        near = intervals[np.abs(intervals - np.median(intervals)) <= 0.1 * np.median(intervals)]
        if not near.size or near.size < _STEADY * intervals.size or near.mean() <= 0:
            return None
        return 1.0 / (float(near.mean()) * time_base_s(stream))
    if stream.frames and stream.duration:
        return stream.frames / (stream.duration * time_base_s(stream))
    return float(stream.average_rate) if stream.average_rate else None


def frame_count(container: InputContainer, stream: VideoStream) -> int | None:
    """An estimate of the number of frames, None if nothing is known."""
    if stream.frames:
        discarded = sum(entry.is_discard for entry in stream.index_entries[:_INDEX_SAMPLE])
        return min(stream.frames, len(stream.index_entries)) - discarded if _has_frame_index(stream) else stream.frames
    duration = duration_s(container, stream)
    rate = frame_rate(stream)
    return max(1, round(duration * rate)) if duration and rate else None


def duration_s(container: InputContainer, stream: VideoStream) -> float | None:
    """Seconds that the header announces for the video stream, None if it says nothing of that stream."""
    if container.format.name == "avi" and stream.frames and stream.average_rate:
        return stream.frames / float(stream.average_rate)  # the stream's duration follows the index, which may be cut
    if stream.duration:
        return stream.duration * time_base_s(stream)
    matroska = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", "").strip())
    if matroska:
        return int(matroska[1]) * 3600 + int(matroska[2]) * 60 + float(matroska[3])
    # The container's duration is that of its longest stream: it says something of the picture only where that is alone.
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
    return len(entries) == stream.frames or any(not entry.is_keyframe for entry in entries[:_INDEX_SAMPLE])
