"""Overlay of the autoencoder's reconstructions: small insets beside what the network saw."""

from __future__ import annotations

from collections.abc import Iterator

import cv2

from tracker.overlays.base import OverlayContext
from tracker.overlays.drawing import DARK, LIGHT, draw_text, face_colour, shade, text_scale, text_size
from tracker.types import ImageArray, TrackedFace, TrackingResult

LEAST_SIDE = 24  # px; a smaller inset shows nothing


def draw_reconstruction(image: ImageArray, result: TrackingResult, context: OverlayContext) -> None:
    """For each face the crop and, right of it, its reconstruction, along the right edge, then the left.

    Faces for which there is no room any more have no inset.
    """
    faces = [face for face in result.faces if face.reconstruction is not None]
    side = round(min(image.shape[:2]) * context.inset_share)
    if side < LEAST_SIDE:
        return
    for face, (left, top) in zip(faces, _slots(image, side), strict=False):
        _draw_inset(image, result.frame.image, face, left, top, side)


def _slots(image: ImageArray, side: int) -> Iterator[tuple[int, int]]:
    """Upper left corners of the insets."""
    height, width = image.shape[:2]
    gap = max(2, side // 14)
    inset_width = 2 * side
    if inset_width + 2 * gap > width:
        return
    columns = [width - gap - inset_width]
    if 2 * inset_width + 3 * gap <= width:
        columns.append(gap)
    for left in columns:
        for top in range(gap, height - side - gap + 1, side + gap):
            yield left, top


def _draw_inset(image: ImageArray, original: ImageArray, face: TrackedFace, left: int, top: int, side: int) -> None:
    assert face.reconstruction is not None
    size = (face.crop_size, face.crop_size)
    crop = cv2.warpAffine(
        original,
        face.frame_from_crop,
        size,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    for part, x in ((crop, left), (face.reconstruction, left + side)):
        # INTER_AREA is the slower one and pays off beyond half size only.
        how = cv2.INTER_AREA if part.shape[0] > 2 * side else cv2.INTER_LINEAR
        image[top : top + side, x : x + side] = cv2.resize(part, (side, side), interpolation=how)
    line = max(1, side // 70)
    colour = face_colour(face.face_id)
    cv2.rectangle(image, (left, top), (left + 2 * side - 1, top + side - 1), colour, line)
    scale = text_scale(image) * 0.8
    text = f"face {face.face_id}" if face.recon_error is None else f"face {face.face_id}  error {face.recon_error:.1f}"
    width, height = text_size(text, scale)
    pad = round(6 * scale) + 1
    bottom = top + side - line
    if width + 2 * pad <= 2 * side:
        shade(image, (left + line, bottom - height - 2 * pad, left + line + width + 2 * pad, bottom), DARK, 0.6)
        draw_text(image, text, left + line + pad, bottom - pad, LIGHT, scale)
