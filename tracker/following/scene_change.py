"""Cuts between scenes: after one, nothing of the last frame says where a face is now."""

from __future__ import annotations

import cv2
import numpy as np

from tracker.types import ImageArray

_THUMBNAIL = (32, 18)  # px; small enough that motion averages out
_MIN_CONTRAST = 1.0  # of a thumbnail, 0..255; a blank image resembles nothing, and looks like no other scene either


# Correlations of a film scene full of photographers' flashes: they left 0.62 and more, its cuts 0.60 and less. Where
# nothing was cut and nothing flashed, films and webcams had 0.93 and more.
CUT = 0.6  # below it, another scene has begun
DOUBT = 0.8  # below it, one may have


class SceneChangeDetector:
    """Correlates thumbnails of consecutive frames. Single-threaded; one per source.

    The correlation, unlike the difference, hardly falls when a light goes on.
    """

    def __init__(self) -> None:
        self.thumbnail = np.zeros(_THUMBNAIL[::-1], np.float32)  # (18, 32) green, 0..255, of the last frame
        self._last: np.ndarray | None = None

    def reset(self) -> None:
        """Forgets the last frame."""
        self._last = None

    def resemblance(self, image: ImageArray) -> float:
        """Correlation, -1..1, of the image, (H, W, 3) RGB, with the one before it; 1 for the first and for blank ones.

        Compare it with ``CUT`` and ``DOUBT``.
        """
        # Rows and columns are thinned out first: averaging a whole 4K frame would cost more than tracking it.
        step = max(1, min(image.shape[:2]) // 90)
        thin = np.ascontiguousarray(image[::step, ::step, 1])
        self.thumbnail = cv2.resize(thin, _THUMBNAIL, interpolation=cv2.INTER_AREA).astype(np.float32)
        thumbnail = (self.thumbnail - self.thumbnail.mean()).ravel()
        last, self._last = self._last, thumbnail
        if last is None:
            return 1.0
        norms = float(np.linalg.norm(thumbnail) * np.linalg.norm(last))
        if norms < _MIN_CONTRAST**2 * thumbnail.size:
            return 1.0
        return float(thumbnail @ last) / norms
