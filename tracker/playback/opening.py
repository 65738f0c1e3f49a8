"""From a path to the reader of what lies there."""

from __future__ import annotations

import os
from pathlib import Path

from models.errors import FewmarkError
from tracker.playback.animation_reader import AnimationReader
from tracker.playback.reader import FrameReader, ImageReader
from tracker.playback.video_reader import VideoReader
from tracker.sources.file_kind import is_still, is_webp, read_head


def open_reader(path: Path, *, film_rate: float | None = None) -> FrameReader:
    """Opens a video, an image or a folder of images, as ``open_source`` does, whatever its suffix.

    Args:
        film_rate: frames/s at which a folder's images are played; their times are those of ``open_source`` with the
            same rate, or without one.

    Raises:
        FewmarkError: there is no such file, or not one frame can be had from it.
    """
    if not os.path.exists(path):  # noqa: PTH110  Path.exists raises for names that are too long
        raise FewmarkError(f"{path}: no such file or folder; check the path")
    if path.is_dir() or is_still(path):
        return ImageReader(path, film_rate=film_rate)
    return AnimationReader(path) if is_webp(read_head(path)) else VideoReader(path)
