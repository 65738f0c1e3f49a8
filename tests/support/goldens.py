"""Pictures as they should look: PNG files beside the tests that draw them.

``pytest --update-goldens tests/...`` writes them anew; look at them before they are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from tracker.types import ImageArray


@dataclass(frozen=True, slots=True)
class Goldens:
    """The golden pictures of a folder."""

    folder: Path
    updates: bool  # what is drawn is written instead of compared

    def check(self, name: str, drawn: ImageArray, *, most_changed: float = 0.01) -> None:
        """Compares an (H, W, 3) RGB picture with its golden; ``most_changed`` as for ``differs``."""
        path = self._path(name)
        if self.updates:
            cv2.imwrite(str(path), drawn[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
        else:
            assert not differs(drawn, self.read(name), most_changed=most_changed), f"look at {path}"

    def read(self, name: str) -> ImageArray:
        """(H, W, 3) RGB."""
        image = cv2.imread(str(self._path(name)))
        assert image is not None, f"{self._path(name)} is missing; run its test with --update-goldens"
        return image[:, :, ::-1].astype(np.uint8)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.png"


def differs(drawn: ImageArray, golden: ImageArray, *, most_changed: float = 0.01) -> bool:
    """More than edges smoothed, text drawn or values rounded by another version or processor.

    Args:
        most_changed: share of the pixels that may be quite another colour.
    """
    if drawn.shape != golden.shape:
        return True
    difference = np.abs(drawn.astype(int) - golden).max(axis=2)
    return bool(difference.mean() > 1.5 or (difference > 40).mean() > most_changed)
