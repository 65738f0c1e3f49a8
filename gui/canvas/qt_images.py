"""Images of the tracker as Qt sees them."""

from __future__ import annotations

from typing import cast

from PyQt6.QtGui import QImage

from tracker.types import ImageArray


def qimage_over(image: ImageArray) -> QImage:
    """A QImage over the memory of an (H, W, 3) uint8 RGB array whose rows are contiguous; nothing is copied.

    The array has to be kept for as long as the QImage is used, and must not be written to.
    """
    height, width = image.shape[:2]
    memory = cast(bytes, image.data)  # any buffer will do, whatever PyQt's stubs say
    return QImage(memory, width, height, image.strides[0], QImage.Format.Format_RGB888)
