"""What every dataset yields."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from models.errors import FewmarkError
from models.landmark_schemes import LandmarkScheme
from tracker.types import FloatArray, ImageArray


@dataclass(frozen=True, slots=True, eq=False)
class FaceSample:
    """One labelled face. The image is read when it is needed: a dataset may be larger than the memory."""

    image_path: Path
    points: FloatArray  # (K, 2) image pixels, centre of the top-left pixel at (0, 0)
    visible: np.ndarray  # (K,) bool; False: not labelled, kept out of loss and metrics
    scheme: LandmarkScheme
    subset: str  # for tables by subset, e.g. "helen/trainset"
    group: str  # faces of one photo share it; a split never separates them

    def load_image(self) -> ImageArray:
        """(H, W, 3) uint8 RGB.

        Raises:
            FewmarkError: the file can't be read or is no image.
        """
        return load_rgb(self.image_path)


@dataclass(slots=True)
class DatasetReport:
    """What a reader found, and what it had to leave out: it never dies on one bad sample."""

    samples: list[FaceSample] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)  # "file: reason"


def load_rgb(path: Path) -> ImageArray:
    """Reads any 8-bit image file as (H, W, 3) RGB, whatever the characters in its path.

    Raises:
        FewmarkError: the file can't be read or is no image.
    """
    try:
        data = np.fromfile(path, dtype=np.uint8)  # cv2.imread can't open non-ASCII paths on Windows
    except OSError as error:
        raise FewmarkError(f"{path}: can't be read ({error.strerror}); check the path") from error
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise FewmarkError(f"{path}: not a readable image; replace or remove it")
    return np.ascontiguousarray(image[..., ::-1], dtype=np.uint8)
