"""Overlay of the heatmaps, laid over the face that they were computed from."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from tracker.overlays.base import OverlayContext
from tracker.overlays.drawing import LIGHT, draw_ring, face_side, rect_around
from tracker.types import FloatArray, ImageArray, Matrix, TrackedFace, TrackingResult

# Inferno without its black end, which would look like dirt on a face; perceptually uniform.
COLDEST_COLOUR = 70
LEAST_HEAT = 0.04  # what is colder is left as it is
HEAT_COLOURS: ImageArray = np.ascontiguousarray(
    cv2.applyColorMap(np.linspace(COLDEST_COLOUR, 255, 256).astype(np.uint8)[:, None], cv2.COLORMAP_INFERNO)[:, 0, ::-1]
).astype(np.uint8)  # (256, 3) RGB, for 0..1


def frame_from_heatmap(face: TrackedFace, height: int, width: int) -> Matrix:
    """(2, 3) matrix from the pixels of an (height, width) map over the face's crop to frame pixels.

    The half-pixel rule: map pixel u covers S / width crop pixels and its centre lies at (u + 0.5) * S / width - 0.5.
    """
    sx, sy = face.crop_size / width, face.crop_size / height
    crop_from_heatmap = np.array([[sx, 0, 0.5 * sx - 0.5], [0, sy, 0.5 * sy - 0.5], [0, 0, 1]])
    matrix: Matrix = face.frame_from_crop @ crop_from_heatmap
    return matrix


def draw_heatmap(image: ImageArray, result: TrackingResult, context: OverlayContext) -> None:
    """Where the network sees landmarks; the hotter, the more opaque, so that the face stays visible.

    A landmark whose heatmap is shown alone wears a ring.
    """
    chosen = context.chosen_landmark
    for face in result.faces:
        if face.heatmap is None:
            continue
        _blend(image, face, face.heatmap, context.heatmap_opacity)
        if chosen is not None and chosen < len(face.points):
            draw_ring(image, face.points[chosen], LIGHT, max(5.0, face_side(face) * 0.035))


def _blend(image: ImageArray, face: TrackedFace, heatmap: FloatArray, opacity: float) -> None:
    # Smooth at four times the size, then linear into the frame: looks like one cubic step, in a quarter of its time.
    fine = cv2.resize(
        cv2.convertScaleAbs(np.clip(heatmap, 0, 1), alpha=255), None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC
    )
    warm_rows, warm_columns = (np.flatnonzero(fine.max(axis=axis) > 255 * LEAST_HEAT) for axis in (1, 0))
    if len(warm_rows) == 0:
        return
    matrix = frame_from_heatmap(face, *fine.shape)
    (left, right), (top, bottom) = ((w[0] - 1.5, w[-1] + 1.5) for w in (warm_columns, warm_rows))
    corners = np.array([[left, top, 1], [right, top, 1], [right, bottom, 1], [left, bottom, 1]]) @ matrix.T
    rect = rect_around(corners, 0, image)
    if rect is None:
        return
    x, y, x_end, y_end = rect
    matrix[:, 2] -= x, y
    heat = cv2.warpAffine(fine, matrix, (x_end - x, y_end - y), flags=cv2.INTER_LINEAR)
    colour_share, image_share = _blend_tables(opacity)
    region = image[y:y_end, x:x_end]
    cv2.multiply(region, cv2.applyColorMap(heat, image_share), dst=region, scale=1 / 255)
    cv2.add(region, cv2.applyColorMap(heat, colour_share), dst=region)


@lru_cache(maxsize=8)
def _blend_tables(opacity: float) -> tuple[ImageArray, ImageArray]:
    """Two (256, 1, 3) tables by heat: the colour times its share, and 255 times the share that the image keeps."""
    heat = np.linspace(0, 1, 256)
    rise = np.clip((heat - LEAST_HEAT) / (0.75 - LEAST_HEAT), 0, 1)
    share = (opacity * rise * rise * (3 - 2 * rise))[:, None, None]
    colours = HEAT_COLOURS[:, None]
    keep = np.broadcast_to(255 * (1 - share), colours.shape)
    return np.rint(colours * share).astype(np.uint8), np.rint(keep).astype(np.uint8)
