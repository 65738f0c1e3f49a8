"""Which frames a video file holds, when each is shown, and where decoding can begin; read without decoding."""

from __future__ import annotations

from dataclasses import dataclass

import av
import numpy as np
from numpy.typing import NDArray

from tracker.sources.video_input import VideoInput


@dataclass(frozen=True, slots=True, eq=False)
class FrameTable:
    """The N frames of a video stream in presentation order."""

    pts: NDArray[np.int64]  # (N,) rising, in the stream's time base
    time_s: NDArray[np.float64]  # (N,) rising
    keyframes: NDArray[np.int64]  # indices of frames at which decoding can begin; the first is 0

    def keyframe_before(self, index: int) -> int:
        """Position in ``keyframes`` of the last one at or before frame ``index``."""
        return int(np.searchsorted(self.keyframes, index, side="right")) - 1


def scan_frames(video: VideoInput, first_s: float) -> FrameTable | None:
    """Reads the packets of a video to their end, as far as the file can be read.

    Args:
        first_s: presentation time of the first frame that can be decoded; pictures before it, as an open group of
            pictures leaves them at a cut, are no frames.

    Returns:
        None where the packets don't tell the frames' times, or tell one time twice.
    """
    time_base_s = video.facts.time_base_s
    times: list[int] = []
    key_times: list[int] = []
    try:
        for packet in video.packets():
            if packet.pts is None:
                return None
            if packet.pts * time_base_s < first_s:
                continue
            times.append(packet.pts)
            if packet.is_keyframe:
                key_times.append(packet.pts)
    except av.FFmpegError:
        pass  # cut off: what came before can be shown
    pts = np.unique(np.array(times, np.int64))
    if not len(pts) or len(pts) != len(times):
        return None
    keyframes = np.unique(np.append(np.searchsorted(pts, np.array(key_times, np.int64)), 0))
    return FrameTable(pts, pts.astype(np.float64) * time_base_s, keyframes)
