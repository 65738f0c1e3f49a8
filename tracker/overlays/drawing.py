"""Strokes, labels and translucent areas in RGB images, all in place, all allowed to reach outside the image."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from tracker.types import FloatArray, ImageArray, TrackedFace

Colour = tuple[int, int, int]  # RGB
Rect = tuple[int, int, int, int]  # left, top, right, bottom in whole pixels; right and bottom are outside it

SHIFT = 4  # cv2 takes coordinates in 1/16 px
FAR_PX = 1 << 14  # beyond it cv2's fixed-point coordinates overflow
DARK: Colour = (24, 24, 27)
LIGHT: Colour = (250, 250, 250)
# Okabe and Ito's colours, told apart with any colour vision ("Color Universal Design", 2008), the bright ones first.
FACE_COLOURS: tuple[Colour, ...] = (
    (86, 180, 233),
    (230, 159, 0),
    (240, 228, 66),
    (0, 158, 115),
    (204, 121, 167),
    (213, 94, 0),
)
# (24, 2) a circle as a polygon; cv2.circle draws a small one as a diamond.
CIRCLE = np.stack([np.cos(np.arange(24) * np.pi / 12), np.sin(np.arange(24) * np.pi / 12)], axis=1)
FONT = cv2.FONT_HERSHEY_SIMPLEX


def face_colour(face_id: int) -> Colour:
    return FACE_COLOURS[face_id % len(FACE_COLOURS)]


def face_side(face: TrackedFace) -> float:
    """Side in pixels of the square as large as the face's box: what strokes on that face are measured by."""
    side = math.sqrt(max(face.box.width * face.box.height, 0.0))
    return side if math.isfinite(side) else 0.0


def text_scale(image: ImageArray) -> float:
    """cv2's font scale for labels: about 12 px high letters in a 720p frame, never too small to read."""
    shorter_side: int = min(image.shape[:2])
    return max(0.36, shorter_side * 0.00072)


def fixed_point(points: FloatArray | NDArray[np.float64]) -> NDArray[np.int32]:
    """(..., 2) pixels to cv2's fixed point with ``SHIFT`` fractional bits."""
    fixed: NDArray[np.int32] = np.rint(np.clip(points, -FAR_PX, FAR_PX) * (1 << SHIFT)).astype(np.int32)
    return fixed


def clip_rect(rect: Sequence[float], image: ImageArray) -> Rect | None:
    """The whole pixels of ``rect`` (left, top, right, bottom) that lie in the image; None where none do."""
    height, width = image.shape[:2]
    if not np.isfinite(rect).all():
        return None
    left, top = max(0, int(np.floor(rect[0]))), max(0, int(np.floor(rect[1])))
    right, bottom = min(width, int(np.ceil(rect[2]))), min(height, int(np.ceil(rect[3])))
    return (left, top, right, bottom) if left < right and top < bottom else None


def rect_around(points: FloatArray | NDArray[np.float64], margin: float, image: ImageArray) -> Rect | None:
    """The part of the image within ``margin`` pixels of the finite ones of ``points`` (N, 2)."""
    finite = points[np.isfinite(points).all(axis=1)]
    if len(finite) == 0:
        return None
    low, high = finite.min(axis=0) - margin, finite.max(axis=0) + margin + 1
    return clip_rect((low[0], low[1], high[0], high[1]), image)


def draw_discs(image: ImageArray, centres: FloatArray, colours: Sequence[Colour], radius: float) -> None:
    """Anti-aliased discs with a thin dark rim at sub-pixel ``centres`` (N, 2); centres not finite are left out."""
    outer = radius + max(0.6, radius * 0.28)
    height, width = image.shape[:2]
    low, high = -outer - 1, (width + outer, height + outer)
    seen = np.all(np.isfinite(centres) & (centres > low) & (centres < high), axis=1)
    indices = np.flatnonzero(seen)
    circle = CIRCLE if outer > 5 else CIRCLE[::2]
    rims = fixed_point(centres[indices, None] + circle * outer)
    discs = fixed_point(centres[indices, None] + circle * radius)
    for i, rim, disc in zip(indices.tolist(), rims, discs, strict=True):
        cv2.fillConvexPoly(image, rim, DARK, cv2.LINE_AA, SHIFT)
        cv2.fillConvexPoly(image, disc, colours[i], cv2.LINE_AA, SHIFT)


def draw_ring(image: ImageArray, centre: FloatArray, colour: Colour, radius: float) -> None:
    """An anti-aliased circle with a dark rim around a point (2,); left out where that is not finite."""
    if not np.isfinite(centre).all():
        return
    path = fixed_point(centre + CIRCLE * radius)
    width = max(1, round(radius * 0.12))
    cv2.polylines(image, [path], True, DARK, width + 2, cv2.LINE_AA, SHIFT)
    cv2.polylines(image, [path], True, colour, width, cv2.LINE_AA, SHIFT)


def draw_lines(image: ImageArray, lines: Sequence[FloatArray], colour: Colour, width: float, opacity: float) -> None:
    """Anti-aliased open polylines, each (N, 2) pixels."""
    finite = [line for line in lines if np.isfinite(line).all()]
    if not finite:
        return
    rect = rect_around(np.concatenate(finite), width + 2, image)
    if rect is None:
        return
    left, top, right, bottom = rect
    region = image[top:bottom, left:right]
    drawn = region.copy()
    paths = [fixed_point(line - (left, top)) for line in finite]
    thickness = max(1, round(width))
    cv2.polylines(drawn, paths, False, DARK, thickness + 2, cv2.LINE_AA, SHIFT)
    cv2.addWeighted(drawn, opacity * 0.4, region, 1 - opacity * 0.4, 0, dst=drawn)
    cv2.polylines(drawn, paths, False, colour, thickness, cv2.LINE_AA, SHIFT)
    cv2.addWeighted(drawn, opacity, region, 1 - opacity, 0, dst=region)


def shade(image: ImageArray, rect: Sequence[float], colour: Colour, opacity: float) -> None:
    """Blend a rectangle of ``colour`` over the image."""
    clipped = clip_rect(rect, image)
    if clipped is not None:
        left, top, right, bottom = clipped
        region = image[top:bottom, left:right]
        cv2.addWeighted(np.full_like(region, colour), opacity, region, 1 - opacity, 0, dst=region)


def text_size(text: str, scale: float) -> tuple[int, int]:
    """Width and height in pixels of a line of digits and letters without descenders."""
    (width, _), _ = cv2.getTextSize(text, FONT, scale, stroke(scale))
    return width, round(21 * scale)  # the height of a digit; what cv2 reports differs between its versions


def draw_text(image: ImageArray, text: str, left: float, baseline: float, colour: Colour, scale: float) -> None:
    cv2.putText(image, text, (round(left), round(baseline)), FONT, scale, colour, stroke(scale), cv2.LINE_AA)


def stroke(scale: float) -> int:
    return max(1, round(scale * 1.2))
