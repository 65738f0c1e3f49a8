"""Decoded pictures as frames: RGB, upright, in square pixels."""

from __future__ import annotations

from fractions import Fraction
from typing import cast

import av
import cv2
import numpy as np
from av.buffer import Buffer
from av.video.reformatter import Interpolation, VideoReformatter

from tracker.geometry.pixel_aspect import square_size
from tracker.types import Frame, ImageArray


class FrameMaker:
    """Makes frames of (H, W, 3) uint8 RGB, C-contiguous, in square pixels, turned and mirrored as they are to be shown.

    The display matrix is ISO/IEC 14496-12's ``a b u / c d v / x y w`` with x' = a x + c y, y' = b x + d y, y down.
    Angles other than multiples of 90 degrees take the nearest one.

    Args:
        first: has the display matrix of all.
        pixel_aspect: of the pictures as they are stored, not yet turned.
    """

    def __init__(self, first: av.VideoFrame, pixel_aspect: Fraction) -> None:
        self._pixel_aspect = pixel_aspect
        # One reformatter for all frames: swscale's context costs more than the conversion itself.
        self._reformatter = VideoReformatter()
        side_data = cast(Buffer | None, first.side_data.get("DISPLAYMATRIX"))
        a, b, _, c, d = np.frombuffer(bytes(side_data), np.int32)[:5] if side_data is not None else (1, 0, 0, 0, 1)
        self._transpose = abs(b) + abs(c) > abs(a) + abs(d)
        self._flip_x, self._flip_y = (c < 0, b < 0) if self._transpose else (a < 0, d < 0)

    def frame(self, decoded: av.VideoFrame, index: int, time_s: float) -> Frame:
        """The frame of a decoded picture."""
        width, height = square_size(decoded.width, decoded.height, self._pixel_aspect)
        # What was done in whole pixels, so that points find back exactly.
        aspect = width * decoded.height / (height * decoded.width)
        return Frame(self.image(decoded), index, time_s, pixel_aspect=1 / aspect if self._transpose else aspect)

    def image(self, decoded: av.VideoFrame) -> ImageArray:
        """Its image alone."""
        width, height = square_size(decoded.width, decoded.height, self._pixel_aspect)
        stretched = None if self._pixel_aspect == 1 else Interpolation.BICUBIC
        # swscale's own threads cost more than they save below 4K.
        rgb = self._reformatter.reformat(decoded, width, height, format="rgb24", interpolation=stretched, threads=1)
        image = cast(ImageArray, rgb.to_ndarray())
        if self._transpose:
            image = cast(ImageArray, cv2.transpose(image))
        if self._flip_x or self._flip_y:
            image = cast(ImageArray, cv2.flip(image, -1 if self._flip_x and self._flip_y else int(self._flip_x)))
        return np.ascontiguousarray(image)
