"""Cuts between scenes: after one, nothing of the last frame says where a face is now, or whose it is."""

from __future__ import annotations

import cv2
import numpy as np

from tracker.types import ImageArray

_THUMBNAIL = (32, 18)  # px; small enough that motion averages out
_MIN_CONTRAST = 1.0  # of a thumbnail, 0..255; a blank image resembles nothing, and looks like no other scene either


class SceneChangeDetector:
    """Correlates thumbnails of consecutive frames. Single-threaded; one per source.

    The correlation, unlike the difference, hardly falls when a light goes on: in a film scene full of photographers'
    flashes they left it above 0.6, where the cuts had 0.48 and 0.57.
    """

    def __init__(self, threshold: float = 0.6) -> None:
        """
        Args:
            threshold: correlation, -1..1, below which a frame begins another scene.
        """
        self._threshold = threshold
        self._last: np.ndarray | None = None

    def reset(self) -> None:
        """Forgets the last frame."""
        self._last = None

    def is_cut(self, image: ImageArray) -> bool:
        """Whether the image, (H, W, 3) RGB, begins another scene than the one before it; the first never does."""
        # Rows and columns are thinned out first: averaging a whole 4K frame would cost more than tracking it.
        step = max(1, min(image.shape[:2]) // 90)
        thin = np.ascontiguousarray(image[::step, ::step, 1])
        thumbnail = cv2.resize(thin, _THUMBNAIL, interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
        thumbnail -= thumbnail.mean()
        last, self._last = self._last, thumbnail
        if last is None:
            return False
        norms = float(np.linalg.norm(thumbnail) * np.linalg.norm(last))
        if norms < _MIN_CONTRAST**2 * thumbnail.size:
            return False
        return float(thumbnail @ last) / norms < self._threshold
