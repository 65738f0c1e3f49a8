"""Cuts between scenes: where one is, nothing of the last frame says where a face is now."""

from __future__ import annotations

import cv2
import numpy as np

from tracker.types import ImageArray

_THUMBNAIL = (32, 18)  # px; small enough that motion averages out


class SceneChangeDetector:
    """Compares thumbnails of consecutive frames. Single-threaded; one per source."""

    def __init__(self, threshold: float = 30.0) -> None:
        """
        Args:
            threshold: mean absolute difference, 0..255, from which a frame begins another scene.
        """
        self._threshold = threshold
        self._last: np.ndarray | None = None

    def reset(self) -> None:
        """Forgets the last frame."""
        self._last = None

    def is_cut(self, image: ImageArray) -> bool:
        """Whether the image, (H, W, 3) RGB, begins another scene than the one before it; the first never does."""
        # Rows and columns are thinned out first: averaging a whole 4K frame would cost more than tracking it.
        step = max(1, image.shape[1] // 320)
        thin = np.ascontiguousarray(image[::step, ::step])
        small = cv2.resize(thin, _THUMBNAIL, interpolation=cv2.INTER_AREA)
        thumbnail = np.asarray(small, np.int16)
        last, self._last = self._last, thumbnail
        return last is not None and float(np.abs(thumbnail - last).mean()) >= self._threshold
