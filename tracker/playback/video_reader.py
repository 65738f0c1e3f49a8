"""Random access to the frames of a video file: seek to a keyframe, decode on from there, keep what was decoded."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np

from models.errors import FewmarkError
from tracker.playback.frame_cache import FrameCache
from tracker.playback.frame_table import FrameTable, scan_frames
from tracker.playback.reader import FrameReader
from tracker.sources.decoding import DecodeTally, error_text
from tracker.sources.frame_maker import FrameMaker
from tracker.sources.video_file import VideoFile, open_video
from tracker.types import Frame


class VideoReader(FrameReader):
    """The frames of a video file by index; indices and times are those of ``tracker.sources.VideoFile``.

    Going forward decodes on, going backward seeks to the keyframe before and keeps the frames on the way, so that the
    next steps back cost nothing. Where a file does not store its frames' times (raw streams), the whole of it is
    decoded once when it is opened, and later from its beginning for every step back out of the cache.

    Raises FewmarkError on opening as ``VideoFile`` does.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with VideoFile(path) as source:  # says in a sentence what is wrong with a file that can't be shown
            self.info, first_s = source.info, next(iter(source)).time_s
        self._input = open_video(path)
        is_avi = self._input.facts.decode_times_only
        with open_video(path) as video:
            table = scan_frames(video, -math.inf if is_avi else first_s)
        self._counts = table is None or is_avi
        self._table = table or self._table_by_decoding()
        self.time_s = self._table.time_s
        if is_avi:  # it has times in decoding order only: right in their steps, but not of a single frame
            self.time_s = self.time_s + (first_s - self.time_s[0])
        self._frames: Iterator[av.VideoFrame] = iter(())
        self._position = len(self.time_s)  # index of the frame that decoding on would give
        self._cache: FrameCache[av.VideoFrame] = FrameCache(_bytes_of)
        self._maker: FrameMaker | None = None

    def close(self) -> None:
        self._frames = iter(())
        self._cache.clear()
        self._input.close()

    def read(self, index: int, is_cancelled: Callable[[], bool] = lambda: False) -> Frame | None:
        if not 0 <= index < len(self.time_s):
            raise IndexError(f"{self._path}: frame {index} of {len(self.time_s)}")
        found = index if index in self._cache else self._decode_to(index, is_cancelled)
        if found is None:
            return None
        decoded = self._cache[found]
        self._maker = self._maker or self._input.frame_maker(decoded)
        return self._maker.frame(decoded, found, float(self.time_s[found]))

    def _decode_to(self, index: int, is_cancelled: Callable[[], bool]) -> int | None:
        """Puts the frame into the cache and returns its index, or that of one near it; None: cancelled."""
        start = self._table.keyframe_before(index)
        if self._table.keyframes[start] <= self._position <= index:
            found = self._decode_on(index, is_cancelled)
            if found is not None or is_cancelled():
                return found
        # A seek may miss, and a keyframe may need frames before it: then from the one before, then from the front.
        nearest: int | None = None
        for keyframe in dict.fromkeys((start, max(start - 1, 0), 0)):
            self._start_at(int(self._table.keyframes[keyframe]))
            found = self._decode_on(index, is_cancelled)
            if found == index or is_cancelled():
                return found
            nearest = found if found is not None else nearest
        nearest = nearest if nearest is not None else max((i for i in self._cache if i < index), default=None)
        if nearest is None or nearest not in self._cache:
            raise FewmarkError(f"{self._path}: nothing can be decoded at {self.time_s[index]:.2f} s; it is damaged")
        return nearest

    def _decode_on(self, index: int, is_cancelled: Callable[[], bool]) -> int | None:
        """Decodes until frame ``index`` or one after it; None: the end came first, or it was cancelled."""
        try:
            for decoded in self._frames:
                found = self._index_of(decoded)
                self._position = found + 1
                self._cache.put(found, decoded)
                if found >= index:
                    return found
                if is_cancelled():
                    return None
        except av.FFmpegError:
            pass  # cut off or damaged: as at the end
        self._position = len(self.time_s)
        return None

    def _index_of(self, decoded: av.VideoFrame) -> int:
        if self._counts or decoded.pts is None:
            return min(self._position, len(self.time_s) - 1)
        return min(int(np.searchsorted(self._table.pts, decoded.pts)), len(self.time_s) - 1)

    def _start_at(self, keyframe: int) -> None:
        """Makes ``keyframe`` the next frame that is decoded, or the first where the format can't be wound."""
        try:
            if keyframe > 0:
                self._input.seek(int(self._table.pts[keyframe]))
        except av.FFmpegError:
            keyframe = 0
        try:
            if keyframe == 0:  # not every format can be wound back
                self._input.close()
                self._input = open_video(self._path)
        except (av.FFmpegError, OSError) as error:
            raise FewmarkError(f"{self._path}: cannot be read any more ({error_text(error)}); open it again") from error
        self._frames = self._input.decode(DecodeTally())
        self._position = keyframe

    def _table_by_decoding(self) -> FrameTable:
        with VideoFile(self._path) as source:
            times = np.array([frame.time_s for frame in source])
        return FrameTable(np.arange(len(times)), times, np.zeros(1, np.int64))


def _bytes_of(decoded: av.VideoFrame) -> int:
    return sum(plane.buffer_size for plane in decoded.planes)
