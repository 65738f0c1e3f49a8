"""Augmentation of image and points together.

3FabRec, section 4.2.2: "random horizontal flipping (p = 0.5), translation (+-4 %), resizing (+-5 %), rotation
(+-30 degrees), and occlusion". The geometric part is a jitter of the box before the crop is cut, so that training and
live crops come from one function.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from models.crop_rule import CropRule
from models.landmark_schemes import LandmarkScheme
from tracker.crop import box_around_points, cut_crop, frame_from_crop_matrix, invert, transform_points
from tracker.types import FaceBox, FloatArray, ImageArray


@dataclass(frozen=True, slots=True)
class AugmentationConfig:
    """Ranges of the random changes; the identity is all zeros."""

    flip: float = 0.0  # probability
    translation: float = 0.0  # +- share of the box's side, each axis
    scale: float = 0.0  # +- share
    rotation_deg: float = 0.0  # +- degrees
    occlusion: float = 0.0  # probability of one covered rectangle
    occlusion_size: float = 0.4  # its longest side, share of the crop
    brightness: float = 0.0  # +- share of 255
    contrast: float = 0.0  # +- share
    saturation: float = 0.0  # +- share
    colour_cast: float = 0.0  # +- share of each channel's gain
    grey: float = 0.0  # probability of a grey image
    blur: float = 0.0  # probability of a Gaussian blur or of a loss of resolution
    noise: float = 0.0  # standard deviation of pixel noise, largest, share of 255


def jitter_box(box: FaceBox, config: AugmentationConfig, rng: np.random.Generator) -> FaceBox:
    """Moves, resizes and turns a box at random, within the ranges of ``config``."""
    side = max(box.width, box.height)
    cx, cy = box.centre
    dx, dy = rng.uniform(-config.translation, config.translation, 2) * side
    half = side * (1 + rng.uniform(-config.scale, config.scale)) / 2
    roll = box.roll + math.radians(rng.uniform(-config.rotation_deg, config.rotation_deg))
    xyxy = np.array([cx + dx - half, cy + dy - half, cx + dx + half, cy + dy + half], dtype=np.float32)
    return FaceBox(xyxy, box.score, roll)


def augmented_crop(
    image: ImageArray,
    points: FloatArray,
    scheme: LandmarkScheme,
    crop_size: int,
    rule: CropRule,
    config: AugmentationConfig,
    rng: np.random.Generator,
) -> tuple[ImageArray, FloatArray, bool]:
    """A crop around the labelled points, changed at random.

    Args:
        image: (H, W, 3) uint8 RGB.
        points: (K, 2) image pixels.

    Returns:
        Crop (S, S, 3) uint8, points (K, 2) float32 in crop pixels, and whether it was mirrored (``visible`` flags
        must then be permuted as well).
    """
    box = jitter_box(box_around_points(points, scheme), config, rng)
    frame_from_crop = frame_from_crop_matrix(box, crop_size, rule)
    crop = cut_crop(image, frame_from_crop, crop_size).image
    crop_points = transform_points(points, invert(frame_from_crop)).astype(np.float32)
    mirrored = bool(rng.random() < config.flip)
    if mirrored:
        crop, crop_points = mirror(crop, crop_points, scheme)
    crop = change_colours(crop, config, rng)
    crop = degrade(crop, config, rng)
    return occlude(crop, config, rng), crop_points, mirrored


def mirror(image: ImageArray, points: FloatArray, scheme: LandmarkScheme) -> tuple[ImageArray, FloatArray]:
    """Flips left-right; each landmark takes its mirror partner's place."""
    flipped = points[list(scheme.mirror_permutation)].copy()
    flipped[:, 0] = image.shape[1] - 1 - flipped[:, 0]
    return np.ascontiguousarray(image[:, ::-1]), flipped


def change_colours(image: ImageArray, config: AugmentationConfig, rng: np.random.Generator) -> ImageArray:
    """Brightness, contrast, saturation and colour cast; sometimes grey."""
    changes = (config.brightness, config.contrast, config.saturation, config.colour_cast, config.grey)
    if not any(changes):
        return image
    x = image.astype(np.float32)
    grey = x @ np.array([0.299, 0.587, 0.114], np.float32)
    if rng.random() < config.grey:
        x = np.repeat(grey[..., None], 3, axis=-1)
    else:
        x = grey[..., None] + (x - grey[..., None]) * (1 + rng.uniform(-config.saturation, config.saturation))
        x *= 1 + rng.uniform(-config.colour_cast, config.colour_cast, 3).astype(np.float32)
    mean = float(grey.mean())
    x = (x - mean) * (1 + rng.uniform(-config.contrast, config.contrast)) + mean
    x += 255 * rng.uniform(-config.brightness, config.brightness)
    return np.clip(x, 0, 255).astype(np.uint8)


def degrade(image: ImageArray, config: AugmentationConfig, rng: np.random.Generator) -> ImageArray:
    """Blur, or a detour over a lower resolution, and sensor noise: what webcams and codecs do."""
    if rng.random() < config.blur:
        side = image.shape[0]
        if rng.random() < 0.5:
            image = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, side / 64)), np.uint8)
        else:
            small = max(8, round(side * rng.uniform(0.3, 0.8)))
            shrunk = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
            image = np.asarray(cv2.resize(shrunk, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)
    if config.noise:
        noise = rng.normal(0, 255 * rng.uniform(0, config.noise), image.shape)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    return image


def occlude(image: ImageArray, config: AugmentationConfig, rng: np.random.Generator) -> ImageArray:
    """Covers a rectangle with one colour or with noise; the landmarks under it stay labelled."""
    if rng.random() >= config.occlusion:
        return image
    side = image.shape[0]
    w, h = (rng.uniform(0.1, config.occlusion_size, 2) * side).astype(int) + 1
    x, y = rng.integers(0, side - w + 1), rng.integers(0, side - h + 1)
    image = image.copy()
    if rng.random() < 0.5:
        image[y : y + h, x : x + w] = rng.integers(0, 256, 3)
    else:
        image[y : y + h, x : x + w] = rng.integers(0, 256, (h, w, 3))
    return image
