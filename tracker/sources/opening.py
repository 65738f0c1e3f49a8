"""From what the user typed to the source that it names."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from models.errors import FewmarkError
from tracker.sources.animated_webp import AnimatedWebp
from tracker.sources.base import FrameSource, refuse_time_range
from tracker.sources.camera import CameraSource, find_camera, list_cameras
from tracker.sources.file_kind import is_still, is_webp, read_head
from tracker.sources.images import ImageFiles
from tracker.sources.stream import URL, NetworkStream, without_password
from tracker.sources.video_file import VideoFile

CAMERA_PREFIX = "camera:"


def open_source(
    spec: str | Path, *, start_s: float | None = None, end_s: float | None = None, film_rate: float | None = None
) -> FrameSource:
    """Open what ``spec`` names.

    - a camera index: ``"0"`` (a folder of that name: ``"./0"``, or a Path);
    - ``"camera:NAME"``: a camera by part of its name or by its stable id;
    - an address: ``"rtsp://..."``, ``"http://..."``, ``"udp://..."``; ``"file://..."`` is a file;
    - a file, image or film by its content, whatever its suffix: an animated WebP, AVIF or PNG and a stream of JPEGs are
      films, each page of a TIFF is a still; a folder of images. Patterns are not expanded here.

    ``start_s`` and ``end_s`` select presentation times in [start_s, end_s), in seconds, from a file or a folder.
    ``film_rate``, frames/s, makes the images of a folder, or pages, the frames of a film; other sources have their own
    times.

    Raises FewmarkError if there is no such source, or if not one frame can be had from it.
    """
    if isinstance(spec, str):
        wanted = spec[len(CAMERA_PREFIX) :] if spec.lower().startswith(CAMERA_PREFIX) else spec
        if wanted != spec or (spec.isascii() and spec.isdigit()):
            refuse_time_range(spec, start_s, end_s)
            cameras = list_cameras()
            return CameraSource(find_camera(wanted, cameras), cameras=cameras)
        if spec.lower().startswith("file://"):
            spec = url2pathname(urlsplit(spec).path)
        elif URL.match(spec):
            refuse_time_range(without_password(spec), start_s, end_s)
            return NetworkStream(spec)
    path = Path(spec)
    if not os.path.exists(path):  # noqa: PTH110  Path.exists raises for names that are too long
        raise FewmarkError(f"{path}: no such file or folder; check the path")
    if path.is_dir() or is_still(path):
        return ImageFiles(path, start_s=start_s, end_s=end_s, film_rate=film_rate)
    if is_webp(read_head(path)):
        return AnimatedWebp(path, start_s=start_s, end_s=end_s)
    return VideoFile(path, start_s=start_s, end_s=end_s)
