"""Decoded frames as upright RGB."""

from __future__ import annotations

from typing import cast

import av
import cv2
import numpy as np
from av.buffer import Buffer
from av.video.reformatter import VideoReformatter

from tracker.types import ImageArray


class UprightRgb:
    """Convert decoded frames to (H, W, 3) uint8 RGB, C-contiguous, turned and mirrored as the display matrix says.

    The matrix is ISO/IEC 14496-12's ``a b u / c d v / x y w`` with x' = a x + c y, y' = b x + d y, y down.
    Angles other than multiples of 90 degrees take the nearest one.
    """

    def __init__(self, first: av.VideoFrame) -> None:
        # One reformatter for all frames: swscale's context costs more than the conversion itself.
        self._reformatter = VideoReformatter()
        side_data = cast(Buffer | None, first.side_data.get("DISPLAYMATRIX"))
        a, b, _, c, d = np.frombuffer(bytes(side_data), np.int32)[:5] if side_data is not None else (1, 0, 0, 0, 1)
        self._transpose = abs(b) + abs(c) > abs(a) + abs(d)
        self._flip_x, self._flip_y = (c < 0, b < 0) if self._transpose else (a < 0, d < 0)

    def __call__(self, frame: av.VideoFrame) -> ImageArray:
        # swscale's own threads cost more than they save below 4K.
        image = cast(ImageArray, self._reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray())
        if self._transpose:
            image = cast(ImageArray, cv2.transpose(image))
        if self._flip_x or self._flip_y:
            image = cast(ImageArray, cv2.flip(image, -1 if self._flip_x and self._flip_y else int(self._flip_x)))
        return np.ascontiguousarray(image)
