"""What an overlay is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from models.landmark_schemes import LandmarkScheme
from tracker.types import ImageArray, TrackingResult


@dataclass(frozen=True, slots=True)
class OverlayContext:
    """What the overlays need beside the result."""

    scheme: LandmarkScheme  # of the model that made the result
    heatmap_opacity: float = 0.6  # 0..1, of the hottest places
    stroke_opacity: float = 1.0  # 0..1, of points, contours, boxes, ids and confidences
    reconstruction_opacity: float = 1.0  # 0..1, of reconstructions in place
    error_map: bool = False  # wherever a reconstruction is shown, also where it differs from the crop
    inset_share: float = 0.2  # side of a reconstruction inset, as a share of the frame's shorter side
    chosen_landmark: int | None = None  # the one whose heatmap is shown wears a ring; None: heatmaps are of all


# Draws onto the image, uint8 (H, W, 3) RGB, in place; result.frame.image is the untouched original.
OverlayFunction = Callable[[ImageArray, TrackingResult, OverlayContext], None]
