"""Results of stills as images to look at: each photo with the overlays drawn on, under its own name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2

from tracker.sinks.base import ResultSink, cannot_continue, cannot_create
from tracker.types import ImageArray, TrackingResult

JPEG_QUALITY = 95  # 0..100
_JPEG_SUFFIXES = (".jpg", ".jpeg")


class AnnotatedImagesSink(ResultSink):
    """Draws results into a folder, one image each.

    An image is called what its source file is called. A JPEG stays one and a PNG stays one; of any other kind it
    becomes a PNG, and ``.png`` is put after its name. Each appears under its name when it is complete; of the same
    name, an earlier one is replaced.

    Args:
        path: the folder; it is made if it does not exist, its parent has to.
        draw: result -> uint8 (H, W, 3) RGB, for example ``functools.partial`` of ``overlays.render``.

    Raises:
        FewmarkError: the folder can't be made.
    """

    def __init__(self, path: Path, draw: Callable[[TrackingResult], ImageArray]) -> None:
        self.path = path
        self.images_written = 0
        self._draw = draw
        try:
            path.mkdir(exist_ok=True)
        except OSError as error:
            raise cannot_create(path, error.strerror) from error

    def write(self, result: TrackingResult) -> None:
        name = result.frame.name or f"{result.frame.index:06d}.png"
        suffix = Path(name).suffix.lower()
        if suffix not in (*_JPEG_SUFFIXES, ".png"):
            name, suffix = f"{name}.png", ".png"
        options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if suffix in _JPEG_SUFFIXES else []
        bgr = cv2.cvtColor(self._draw(result), cv2.COLOR_RGB2BGR)
        _, data = cv2.imencode(suffix, bgr, options)  # cv2.imwrite fails on non-ASCII paths on Windows
        path, part = self.path / name, self.path / f"{name}.part"
        try:
            part.write_bytes(data.tobytes())
            part.replace(path)
        except OSError as error:
            part.unlink(missing_ok=True)
            kept = f"{self.images_written} annotated images before it are kept"
            raise cannot_continue(path, error.strerror, kept) from error
        self.images_written += 1

    def close(self) -> None:
        """Nothing is held back."""
