"""Drawings over a frame. The window and the annotated video use the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import cv2
import numpy as np

from models.errors import FewmarkError
from tracker.overlays.base import OverlayContext, OverlayFunction
from tracker.overlays.heatmap import draw_heatmap
from tracker.overlays.landmarks import draw_box, draw_confidence, draw_contours, draw_ids, draw_points
from tracker.overlays.picking import PickedLandmark, pick_landmark
from tracker.overlays.reconstruction import (
    draw_reconstruction,
    draw_reconstruction_beside,
    draw_reconstruction_in_place,
)
from tracker.types import ImageArray, TrackingResult

BESIDE = "reconstruction_beside"  # the one overlay that is drawn on a second copy of the frame, right of the first

# From the lowest layer to the topmost.
OVERLAYS: dict[str, OverlayFunction] = {
    BESIDE: draw_reconstruction_beside,
    "reconstruction_in_place": draw_reconstruction_in_place,
    "heatmap": draw_heatmap,
    "contours": draw_contours,
    "box": draw_box,
    "ids": draw_ids,
    "points": draw_points,
    "confidence": draw_confidence,
    "reconstruction": draw_reconstruction,
}
RECONSTRUCTIONS = ("reconstruction", "reconstruction_in_place", BESIDE)  # need TrackedFace.reconstruction
_STROKES = ("contours", "box", "ids", "points", "confidence")


def render(result: TrackingResult, overlays: Sequence[str], context: OverlayContext) -> ImageArray:
    """A copy of the frame with the named overlays drawn on, in the order of ``OVERLAYS``.

    Args:
        result: its frame is not changed.
        overlays: names from ``OVERLAYS``, in any order.
        context: the landmark scheme, and how strongly to draw.

    Returns:
        uint8 (H, W, 3) RGB; with "reconstruction_beside" (H, 2 W, 3), the frame's own half on the left.

    Raises:
        FewmarkError: a name is unknown.
    """
    unknown = [name for name in overlays if name not in OVERLAYS]
    if unknown:
        raise FewmarkError(f"unknown overlay {', '.join(unknown)}; choose from {', '.join(OVERLAYS)}")
    names = set(overlays)
    if "box" in names:
        names.discard("ids")  # a box carries its id
    if "confidence" in names:
        names.discard("points")  # its discs are the larger ones and lie on the same places
    frame = result.frame.image
    if BESIDE in names:
        canvas = np.concatenate([frame, frame], axis=1)
        image, second = np.hsplit(canvas, 2)
        draw_reconstruction_beside(second, result, context)
    else:
        canvas = image = frame.copy(order="C")
    layers = [name for name in OVERLAYS if name in names and name != BESIDE]
    for are_strokes, group in groupby(layers, _STROKES.__contains__):
        target = image.copy() if are_strokes and context.stroke_opacity < 1 else image
        for name in group:
            OVERLAYS[name](target, result, context)
        if target is not image:
            cv2.addWeighted(target, context.stroke_opacity, image, 1 - context.stroke_opacity, 0, dst=image)
    return canvas


__all__ = [
    "BESIDE",
    "OVERLAYS",
    "RECONSTRUCTIONS",
    "OverlayContext",
    "OverlayFunction",
    "PickedLandmark",
    "pick_landmark",
    "render",
]
