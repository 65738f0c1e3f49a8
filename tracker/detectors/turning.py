"""Faces that lie on their side or hang upside down: no detector knows them, but each knows the image turned."""

from __future__ import annotations

import math

import numpy as np

from tracker.types import FaceBox, ImageArray


def turned(image: ImageArray, quarter_turns: int) -> ImageArray:
    """An image, (H, W, 3), turned to the left by so many quarters."""
    return np.ascontiguousarray(np.rot90(image, quarter_turns))


def turned_back(box: FaceBox, quarter_turns: int, width: int, height: int) -> FaceBox:
    """A box of the turned image in the image that was turned, which is ``width`` x ``height`` px."""
    x, y = box.centre
    centre = {
        0: (x, y),
        1: (width - 1 - y, x),
        2: (width - 1 - x, height - 1 - y),
        3: (y, height - 1 - x),
    }[quarter_turns % 4]
    half = np.array([box.width, box.height]) / 2
    xyxy = np.concatenate([centre - half, centre + half]).astype(np.float32)
    return FaceBox(xyxy, box.score, math.remainder(box.roll + quarter_turns * math.pi / 2, math.tau))
