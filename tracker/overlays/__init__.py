"""Drawings over a frame. The window and the annotated video use the same ones."""

from __future__ import annotations

from collections.abc import Sequence

from models.errors import FewmarkError
from tracker.overlays.base import OverlayContext, OverlayFunction
from tracker.overlays.heatmap import draw_heatmap
from tracker.overlays.landmarks import draw_box, draw_confidence, draw_contours, draw_points
from tracker.overlays.reconstruction import draw_reconstruction
from tracker.types import ImageArray, TrackingResult

# From the lowest layer to the topmost.
OVERLAYS: dict[str, OverlayFunction] = {
    "heatmap": draw_heatmap,
    "contours": draw_contours,
    "box": draw_box,
    "points": draw_points,
    "confidence": draw_confidence,
    "reconstruction": draw_reconstruction,
}


def render(result: TrackingResult, overlays: Sequence[str], context: OverlayContext) -> ImageArray:
    """A copy of the frame with the named overlays drawn on, in the order of ``OVERLAYS``.

    Args:
        result: its frame is not changed.
        overlays: names from ``OVERLAYS``, in any order.
        context: the landmark scheme, and how strongly to draw.

    Returns:
        uint8 (H, W, 3) RGB.

    Raises:
        FewmarkError: a name is unknown.
    """
    unknown = [name for name in overlays if name not in OVERLAYS]
    if unknown:
        raise FewmarkError(f"unknown overlay {', '.join(unknown)}; choose from {', '.join(OVERLAYS)}")
    image = result.frame.image.copy(order="C")
    for name, draw in OVERLAYS.items():
        if name in overlays:
            draw(image, result, context)
    return image


__all__ = ["OVERLAYS", "OverlayContext", "OverlayFunction", "render"]
