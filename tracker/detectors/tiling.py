"""Faces that are small in a large image: overlapping square tiles; and one box per face."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tracker.types import FaceBox

# With tiles half as large from level to level, a face too small for one level is still whole in a tile of the next.
_OVERLAP = 1 / 3
_MAX_SHARED = 0.5  # of the smaller box's area
_MAX_OVERLAP = 0.3  # intersection over union


@dataclass(frozen=True, slots=True)
class Tile:
    """A square part of an image, in whole pixels."""

    left: int
    top: int
    side: int

    @property
    def rows(self) -> slice:
        return slice(self.top, self.top + self.side)

    @property
    def columns(self) -> slice:
        return slice(self.left, self.left + self.side)

    def cuts(self, box: FaceBox, width: int, height: int) -> bool:
        """Whether a face found in this tile reaches over an edge behind which the image goes on."""
        left, top, right, bottom = box.xyxy
        return bool(
            (left < self.left and self.left > 0)
            or (top < self.top and self.top > 0)
            or (right > self.left + self.side - 1 and self.left + self.side < width)
            or (bottom > self.top + self.side - 1 and self.top + self.side < height)
        )


def tiles(width: int, height: int, min_side: int) -> Iterator[Tile]:
    """Tiles of an image, evenly spread, largest first.

    The largest are as large as the image's shorter side, the next half as large, and so on down to ``min_side`` px.
    """
    side = min(width, height)
    while side >= min_side:
        for top in _starts(height, side):
            for left in _starts(width, side):
                yield Tile(left, top, side)
        side //= 2


def merge(boxes: Sequence[FaceBox]) -> list[FaceBox]:
    """One box per face out of the finds of overlapping tiles: the surest of those that share half of the smaller one.

    Intersection over union would let parts of a face stand beside the face.
    """
    kept: list[FaceBox] = []
    for box in sorted(boxes, key=lambda box: -box.score):
        if all(_shared(box, other) <= _MAX_SHARED * min(box.width, other.width) ** 2 for other in kept):
            kept.append(box)
    return kept


def suppress(boxes: Sequence[FaceBox]) -> list[FaceBox]:
    """One box per face out of the finds of one look, the surest first; a face within another one's box stays."""
    kept: list[FaceBox] = []
    for box in sorted(boxes, key=lambda box: -box.score):
        if all(_shared(box, other) <= _MAX_OVERLAP * _union(box, other) for other in kept):
            kept.append(box)
    return kept


def _union(a: FaceBox, b: FaceBox) -> float:
    return a.width**2 + b.width**2 - _shared(a, b)


def _shared(a: FaceBox, b: FaceBox) -> float:
    """Area, in px, that two boxes have in common."""
    sides = np.minimum(a.xyxy[2:], b.xyxy[2:]) - np.maximum(a.xyxy[:2], b.xyxy[:2])
    return float(sides.clip(min=0).prod())


def _starts(length: int, side: int) -> list[int]:
    steps = math.ceil((length - side) / (side * (1 - _OVERLAP)))
    return [round(i * (length - side) / steps) for i in range(steps + 1)] if steps else [0]
