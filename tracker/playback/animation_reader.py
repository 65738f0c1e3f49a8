"""Random access to the frames of an animated WebP."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tracker.playback.frame_cache import FrameCache
from tracker.playback.reader import FrameReader
from tracker.sources.animated_webp import AnimatedWebp, WebpAnimation
from tracker.types import Frame, ImageArray


class AnimationReader(FrameReader):
    """The frames that ``tracker.sources.AnimatedWebp`` gives, by index. Raises FewmarkError on opening as it does."""

    def __init__(self, path: Path) -> None:
        with AnimatedWebp(path) as source:
            self.info = source.info
        self._animation = WebpAnimation(path)
        self.time_s = self._animation.time_s
        self._cache: FrameCache[ImageArray] = FrameCache(lambda image: image.nbytes)
        self._position = 0  # what decoding on would give

    def close(self) -> None:
        self._cache.clear()
        self._animation.close()

    def read(self, index: int, is_cancelled: Callable[[], bool] = lambda: False) -> Frame | None:
        if not 0 <= index < len(self.time_s):
            raise IndexError(f"{self.info.name}: frame {index} of {len(self.time_s)}")
        if index not in self._cache:
            for i in range(self._position if self._position <= index else 0, index + 1):
                if is_cancelled():
                    return None
                self._cache.put(i, self._animation.read(i))
                self._position = i + 1
        return Frame(self._cache[index], index, float(self.time_s[index]))
