"""One image to one stored crop, in a worker process."""

from __future__ import annotations

import math
import os
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import parent_process
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import FewmarkError
from tracker.config import DetectionConfig
from tracker.detectors import FaceDetector
from tracker.following.pipeline import open_detector
from tracker.geometry.crop import cut_crop, frame_from_crop_matrix, transform_points
from tracker.sources.images import decode_image
from tracker.types import FaceBox, ImageArray, Matrix
from training.faces.listing import FaceImage
from training.faces.manifest import PrepareSettings

# Share of the longer side that is added where a face fills the image: BlazeFace wants to see around it.
_PADDING = 0.3

# How the mirrored picture around an image turns into soft colours: (from this distance, to this one, standard
# deviation), in crop sides.
_BLURS = ((0.0, 0.05, 0.03), (0.05, 0.2, 0.1))

# JPEG because it is decoded twice as fast as WebP; no chroma subsampling, as lips and eyes are small here.
_JPEG = (
    cv2.IMWRITE_JPEG_QUALITY,
    95,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
)

Outcome = Literal["face", "unreadable", "no_face", "small_face"]


@dataclass(frozen=True, slots=True, eq=False)
class CutImage:
    """What became of one image."""

    name: str
    outcome: Outcome
    jpeg: bytes = b""  # (C, C, 3), of a face
    problem: str = ""  # of an unreadable image


def find_face(detector: FaceDetector, image: ImageArray) -> FaceBox | None:
    """The largest face of an image, (H, W, 3) uint8 RGB: also one that fills it, or is small in it."""
    boxes = detector.detect(image)
    if not boxes:
        pad = round(_PADDING * max(image.shape[:2]))
        padded = np.asarray(cv2.copyMakeBorder(image, pad, pad, pad, pad, cv2.BORDER_REPLICATE), np.uint8)
        boxes = [FaceBox(box.xyxy - np.float32(pad), box.score, box.roll) for box in detector.detect(padded)]
    if not boxes:
        boxes = detector.detect(image, smallest_px=DetectionConfig().smallest_px(image))
    return max(boxes, key=lambda box: box.width, default=None)


def cut_softly(image: ImageArray, frame_from_crop: Matrix, side: int, size: int) -> ImageArray:
    """A crop that continues the image over its borders mirrored, and softer the farther away.

    Tight face crops end within the square that the network sees; a repeated border would teach it streaks.

    Args:
        image: (H, W, 3) uint8.
        frame_from_crop: (2, 3).
        side: of the crop, px.
        size: S, px, the unit of distances.

    Returns:
        (side, side, 3) uint8.
    """
    crop = cut_crop(image, frame_from_crop, side, border=cv2.BORDER_REFLECT_101).image
    height, width = image.shape[:2]
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1)
    x, y = np.moveaxis(transform_points(grid, frame_from_crop), -1, 0)
    outside = np.maximum(np.maximum(-x, x - (width - 1)), np.maximum(-y, y - (height - 1)))  # frame px
    if outside.max() <= 0:
        return crop
    step = math.hypot(frame_from_crop[0, 0], frame_from_crop[1, 0])
    distance = (outside / (step * size)).astype(np.float32)[..., None]
    soft = crop.astype(np.float32)
    blurred = [_blurred(soft, sigma * size) for _, _, sigma in _BLURS]
    for (start, end, _), blur in zip(_BLURS, blurred, strict=True):
        soft += (blur - soft) * np.clip((distance - start) / (end - start), 0, 1)
    return np.rint(soft).clip(0, 255).astype(np.uint8)


def cut_image(detector: FaceDetector, image: FaceImage, settings: PrepareSettings) -> CutImage:
    """Finds and cuts the face of one image."""
    try:
        pixels = decode_image(np.frombuffer(image.read(), np.uint8), image.name)
    except FewmarkError as error:
        return CutImage(image.name, "unreadable", problem=str(error))
    box = find_face(detector, pixels)
    if box is None:
        return CutImage(image.name, "no_face")
    if box.width < settings.min_face:
        return CutImage(image.name, "small_face")
    side = settings.stored_side
    crop = cut_softly(pixels, frame_from_crop_matrix(box, side, settings.rule), side, settings.size)
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR), _JPEG)
    return CutImage(image.name, "face", encoded.tobytes())


def _blurred(image: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Gaussian blur of (H, W, 3); a wide one on a reduced image, which looks the same and takes a tenth of the time."""
    height, width = image.shape[:2]
    factor = max(1, round(sigma / 3))
    small = cv2.resize(image, (math.ceil(width / factor), math.ceil(height / factor)), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(cv2.GaussianBlur(small, (0, 0), sigma / factor), (width, height)), np.float32)


class _Worker:
    """What a worker process keeps from task to task."""

    detector: FaceDetector
    settings: PrepareSettings


def start_worker(settings: PrepareSettings, model_dir: Path | None) -> None:
    """Initialises a worker process: a detector of its own, one thread."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)
    detection = DetectionConfig(detector=settings.detector, min_score=settings.min_score)
    _Worker.detector = open_detector(detection, model_dir=model_dir)
    _Worker.settings = settings


def cut_in_worker(images: Sequence[FaceImage]) -> list[CutImage]:
    """A task of a worker process: some images, in their order."""
    return [cut_image(_Worker.detector, image, _Worker.settings) for image in images]


def _end_with_parent() -> None:
    """A killed parent can't tell its workers to end: they would wait for tasks for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
