"""Overlays of the landmarks themselves: points, contours, boxes, ids, confidence."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from tracker.overlays.base import OverlayContext
from tracker.overlays.drawing import (
    DARK,
    LIGHT,
    SHIFT,
    Colour,
    clip_rect,
    draw_discs,
    draw_lines,
    draw_text,
    face_colour,
    face_side,
    fixed_point,
    shade,
    text_scale,
    text_size,
)
from tracker.types import ImageArray, TrackedFace, TrackingResult

# Viridis grows evenly in lightness, so that it also reads without colour.
CONFIDENCE_COLOURS: ImageArray = np.ascontiguousarray(
    cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_VIRIDIS)[:, 0, ::-1]
).astype(np.uint8)  # (256, 3) RGB


def draw_points(image: ImageArray, result: TrackingResult, context: OverlayContext) -> None:
    """Every landmark as a white dot."""
    for face in result.faces:
        draw_discs(image, face.points, [LIGHT] * len(face.points), _point_radius(face))


def draw_contours(image: ImageArray, result: TrackingResult, context: OverlayContext) -> None:
    """The scheme's contour lines, in the face's colour."""
    paths = _joined(context.scheme.edges)
    for face in result.faces:
        lines = [face.points[list(path)] for path in paths]
        draw_lines(image, lines, face_colour(face.face_id), max(1.0, face_side(face) * 0.006), opacity=0.85)


def draw_box(image: ImageArray, result: TrackingResult, context: OverlayContext) -> None:
    """The face's box, its id and its score."""
    scale = text_scale(image)
    thickness = max(1, round(scale * 2.4))
    for face in result.faces:
        if not np.isfinite(face.box.xyxy).all():
            continue
        colour = face_colour(face.face_id)
        (left, top), (right, bottom) = fixed_point(face.box.xyxy.reshape(2, 2)).tolist()
        cv2.rectangle(image, (left, top), (right, bottom), colour, thickness, cv2.LINE_AA, SHIFT)
        _draw_tag(image, face, colour, scale)


def draw_ids(image: ImageArray, result: TrackingResult, context: OverlayContext) -> None:
    """Every face's id and score, where its box would have them."""
    scale = text_scale(image)
    for face in result.faces:
        if np.isfinite(face.box.xyxy).all():
            _draw_tag(image, face, face_colour(face.face_id), scale)


def draw_confidence(image: ImageArray, result: TrackingResult, context: OverlayContext) -> None:
    """Every landmark in the colour of its confidence, and a legend."""
    for face in result.faces:
        level = np.nan_to_num(np.clip(face.confidence, 0, 1) * 255).astype(np.uint8)
        colours: list[Colour] = [(r, g, b) for r, g, b in CONFIDENCE_COLOURS[level].tolist()]
        draw_discs(image, face.points, colours, _point_radius(face) * 1.25)
    if result.faces:
        _draw_confidence_legend(image)


def _point_radius(face: TrackedFace) -> float:
    return max(0.9, face_side(face) * 0.0085)


def _draw_tag(image: ImageArray, face: TrackedFace, colour: Colour, scale: float) -> None:
    """Id and score on the box's upper edge; the id alone over a face that is narrower than the text."""
    text = f"face {face.face_id}  {face.box.score:.2f}"
    pad = round(7 * scale) + 1
    width, height = text_size(text, scale)
    if width + 2 * pad > 1.5 * face.box.width:
        text = str(face.face_id)
        width, height = text_size(text, scale)
    left, top = float(face.box.xyxy[0]), float(face.box.xyxy[1])
    frame_height, frame_width = image.shape[:2]
    tag_width, tag_height = width + 2 * pad, height + 2 * pad
    left = max(0.0, min(left, frame_width - tag_width))
    above = top - tag_height
    top = above if above >= 0 else max(0.0, min(top, frame_height - tag_height))
    shade(image, (round(left), round(top), round(left) + tag_width, round(top) + tag_height), colour, 0.9)
    draw_text(image, text, round(left) + pad, round(top) + pad + height, DARK, scale)


def _draw_confidence_legend(image: ImageArray) -> None:
    """A colour bar from 0 to 1 in the lower left corner; left out where it would fill half of the frame's width."""
    scale = text_scale(image)
    width, height = text_size("confidence", scale)
    digit, _ = text_size("0", scale)
    pad = round(9 * scale) + 1
    bar_width, bar_height = round(150 * scale), max(4, round(12 * scale))
    panel_width = max(width, bar_width + 2 * (digit + pad // 2)) + 2 * pad
    panel_height = height + bar_height + 3 * pad
    frame_height, frame_width = image.shape[:2]
    if panel_width > frame_width / 2 or panel_height > frame_height / 2:
        return
    left, top = pad, frame_height - panel_height - pad
    shade(image, (left, top, left + panel_width, top + panel_height), DARK, 0.6)
    draw_text(image, "confidence", left + pad, top + pad + height, LIGHT, scale)
    bar_left, bar_top = left + pad + digit + pad // 2, top + 2 * pad + height
    rect = clip_rect((bar_left, bar_top, bar_left + bar_width, bar_top + bar_height), image)
    if rect is not None:
        ramp = CONFIDENCE_COLOURS[np.linspace(0, 255, rect[2] - rect[0]).astype(np.uint8)]
        image[rect[1] : rect[3], rect[0] : rect[2]] = ramp[None]
    baseline = bar_top + (bar_height + height) / 2
    draw_text(image, "0", left + pad, baseline, LIGHT, scale)
    draw_text(image, "1", bar_left + bar_width + pad // 2, baseline, LIGHT, scale)


@lru_cache(maxsize=8)
def _joined(edges: tuple[tuple[int, int], ...]) -> tuple[tuple[int, ...], ...]:
    """Edges joined end to end into paths, so that translucent lines don't overlap at every point."""
    paths: list[list[int]] = []
    for start, end in edges:
        if paths and paths[-1][-1] == start:
            paths[-1].append(end)
        else:
            paths.append([start, end])
    return tuple(tuple(path) for path in paths)
