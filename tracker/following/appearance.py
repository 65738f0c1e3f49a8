"""What a face looks like, coarsely: enough to tell two people in one picture apart, not to recognise anybody.

Over a second and a turn of the head a face differs from itself by 0.02 (median) to 0.2, from another person by 0.4
(median), whatever the light.
"""

from __future__ import annotations

import cv2
import numpy as np

from tracker.types import FloatArray, ImageArray

_SIDE = 4  # thumbnail pixels: coarse enough for another expression, and for a crop that lies a little otherwise
_SAMPLES = 16  # at least, of half a face's side: more of them take longer and tell the same
_LEAST_CONTRAST = 4.0  # 0..255, of the thumbnail: a face in the dark is mostly noise


def appearance_of(crop: ImageArray, points: FloatArray) -> FloatArray:
    """(48,) a thumbnail of the face in L*a*b*, less its mean colour and contrast.

    Args:
        crop: (S, S, 3) uint8.
        points: (K, 2) crop pixels; the face is what lies in the square around them.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    half, last = max(float((high - low).max()) / 2, 1.0), crop.shape[0] - 1
    x0, y0 = ((low + high) / 2 - half).clip(0, last).astype(int)
    x1, y1 = ((low + high) / 2 + half).clip(0, last).astype(int)
    step = max(1, int(half) // _SAMPLES)
    face = np.ascontiguousarray(crop[y0 : y1 + 1 : step, x0 : x1 + 1 : step])
    small = cv2.resize(face, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.float32).reshape(-1, 3)
    lab -= lab.mean(axis=0)
    appearance = lab.ravel() / ((lab.std() + _LEAST_CONTRAST) * np.sqrt(lab.size))
    return np.asarray(appearance, np.float32)


def difference(a: FloatArray, b: FloatArray) -> float:
    """How unlike two appearances are: 0 the same, 1 nothing in common, at most 2."""
    return float(np.square(a - b).sum()) / 2
