"""Overlays of the autoencoder's reconstructions: insets beside what the network saw, or over the faces themselves."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import cv2
import numpy as np

from tracker.geometry.crop import cut_crop
from tracker.overlays.base import OverlayContext
from tracker.overlays.drawing import (
    DARK,
    LIGHT,
    draw_text,
    face_colour,
    rect_around,
    shade,
    text_scale,
    text_size,
)
from tracker.types import ImageArray, TrackedFace, TrackingResult

LEAST_SIDE = 24  # px; a smaller inset shows nothing
FULL_ERROR = 64.0  # 0..255; a difference at which the error map's scale ends
_FEATHER = 0.12  # share of the crop's side over which a reconstruction in place fades into the frame
# Cividis is made for readers with any colour vision (Nuñez et al., 2018), and no other overlay has its colours.
ERROR_COLOURS: ImageArray = np.ascontiguousarray(
    cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_CIVIDIS)[:, 0, ::-1]
).astype(np.uint8)  # (256, 3) RGB, for errors of 0..FULL_ERROR


def draw_reconstruction(image: ImageArray, result: TrackingResult, context: OverlayContext) -> None:
    """For each face the crop, right of it its reconstruction, and right of that the error map if it is wanted.

    The insets stand along the right edge, then along the left. Faces for which there is no room any more have none.
    """
    faces = [face for face in result.faces if face.reconstruction is not None]
    side = round(min(image.shape[:2]) * context.inset_share)
    if side < LEAST_SIDE:
        return
    tiles = 3 if context.error_map else 2
    for face, (left, top) in zip(faces, _slots(image, side, tiles), strict=False):
        _draw_inset(image, result.frame.image, face, left, top, side, tiles)


def draw_reconstruction_in_place(image: ImageArray, result: TrackingResult, context: OverlayContext) -> None:
    """Each face's reconstruction laid over the face, faded out towards the border of its crop."""
    _lay_over_faces(image, result, context, context.reconstruction_opacity)


def draw_reconstruction_beside(image: ImageArray, result: TrackingResult, context: OverlayContext) -> None:
    """The same, opaque: for the second picture that ``render`` puts beside the first."""
    _lay_over_faces(image, result, context, 1.0)


def error_map(original: ImageArray, face: TrackedFace) -> ImageArray:
    """How far the reconstruction of a face is from its crop.

    Args:
        original: (H, W, 3) RGB frame without overlays.
        face: has a reconstruction.

    Returns:
        (S, S) uint8 over the crop: mean absolute difference of the three channels, 255 from ``FULL_ERROR`` on.
    """
    assert face.reconstruction is not None
    difference = cv2.absdiff(cut_crop(original, face.frame_from_crop, face.crop_size).image, face.reconstruction)
    return np.asarray(cv2.transform(difference, np.full((1, 3), 255 / FULL_ERROR / 3)), np.uint8)


def _lay_over_faces(image: ImageArray, result: TrackingResult, context: OverlayContext, opacity: float) -> None:
    for face in result.faces:
        if face.reconstruction is None:
            continue
        over_crop = face.reconstruction
        if context.error_map:
            over_crop = _with_error(over_crop, error_map(result.frame.image, face))
        alpha = cv2.convertScaleAbs(_feather(face.crop_size), alpha=opacity)
        _lay_over(image, face, over_crop, np.asarray(alpha, np.uint8))


def _lay_over(image: ImageArray, face: TrackedFace, over_crop: ImageArray, alpha: ImageArray) -> None:
    """Blends (S, S, 3) with its opacities (S, S) 0..255 over the place of the face's crop in the image."""
    end = face.crop_size - 0.5
    corners = np.array([[-0.5, -0.5, 1], [end, -0.5, 1], [end, end, 1], [-0.5, end, 1]]) @ face.frame_from_crop.T
    rect = rect_around(corners, 0, image)
    if rect is None:
        return
    left, top, right, bottom = rect
    matrix = face.frame_from_crop.copy()
    matrix[:, 2] -= left, top
    share = cv2.merge([alpha, alpha, alpha])
    # Multiplied before they are warped: at the border the colours fade with the opacity.
    both = np.dstack([cv2.multiply(over_crop, share, scale=1 / 255), alpha])
    warped = cv2.warpAffine(both, matrix, (right - left, bottom - top), flags=cv2.INTER_LINEAR)
    keep = cv2.bitwise_not(warped[:, :, 3])
    region = image[top:bottom, left:right]
    cv2.multiply(region, cv2.merge([keep, keep, keep]), dst=region, scale=1 / 255)
    cv2.add(region, np.ascontiguousarray(warped[:, :, :3]), dst=region)


def _with_error(reconstruction: ImageArray, error: ImageArray) -> ImageArray:
    """A reconstruction under its error map; the smaller the error, the more of the reconstruction stays visible."""
    share, keep = (cv2.merge([one, one, one]) for one in (error, cv2.bitwise_not(error)))
    over = cv2.multiply(_in_colour(error), share, scale=1 / 255)
    return np.asarray(cv2.add(cv2.multiply(reconstruction, keep, scale=1 / 255), over), np.uint8)


def _in_colour(error: ImageArray) -> ImageArray:
    return np.asarray(cv2.applyColorMap(error, ERROR_COLOURS[:, None]), np.uint8)


@lru_cache(maxsize=4)
def _feather(size: int) -> ImageArray:
    """(S, S) uint8: 255 inside, 0 at the border, smooth between."""
    from_border = np.minimum(np.arange(size), np.arange(size)[::-1]) + 0.5
    rise = np.clip(from_border / (size * _FEATHER), 0, 1)
    profile = rise * rise * (3 - 2 * rise)
    return np.rint(255 * profile[:, None] * profile[None]).astype(np.uint8)


def _slots(image: ImageArray, side: int, tiles: int) -> Iterator[tuple[int, int]]:
    """Upper left corners of the insets."""
    height, width = image.shape[:2]
    gap = max(2, side // 14)
    inset_width = tiles * side
    if inset_width + 2 * gap > width:
        return
    columns = [width - gap - inset_width]
    if 2 * inset_width + 3 * gap <= width:
        columns.append(gap)
    for left in columns:
        for top in range(gap, height - side - gap + 1, side + gap):
            yield left, top


def _draw_inset(
    image: ImageArray, original: ImageArray, face: TrackedFace, left: int, top: int, side: int, tiles: int
) -> None:
    assert face.reconstruction is not None
    parts = [cut_crop(original, face.frame_from_crop, face.crop_size).image, face.reconstruction]
    if tiles > len(parts):
        parts.append(_in_colour(error_map(original, face)))
    for i, part in enumerate(parts):
        x = left + i * side
        # INTER_AREA is the slower one and pays off beyond half size only.
        how = cv2.INTER_AREA if part.shape[0] > 2 * side else cv2.INTER_LINEAR
        image[top : top + side, x : x + side] = cv2.resize(part, (side, side), interpolation=how)
    line = max(1, side // 70)
    colour = face_colour(face.face_id)
    cv2.rectangle(image, (left, top), (left + tiles * side - 1, top + side - 1), colour, line)
    scale = text_scale(image) * 0.8
    text = f"face {face.face_id}" if face.recon_error is None else f"face {face.face_id}  error {face.recon_error:.1f}"
    width, height = text_size(text, scale)
    pad = round(6 * scale) + 1
    bottom = top + side - line
    if width + 2 * pad <= tiles * side:
        shade(image, (left + line, bottom - height - 2 * pad, left + line + width + 2 * pad, bottom), DARK, 0.6)
        draw_text(image, text, left + line + pad, bottom - pad, LIGHT, scale)
