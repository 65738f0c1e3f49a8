"""Still images: one file, or a folder of them."""

from __future__ import annotations

import re
from collections.abc import Generator
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import FewmarkError
from tracker.sources.base import ReadAheadSource, check_time_range
from tracker.sources.decoding import error_text
from tracker.types import Frame, ImageArray, SourceInfo

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
_HEAD_BYTES = 16  # enough for every signature below
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif")


def is_image(head: bytes) -> bool:
    """Whether a file that begins with ``head`` (16 bytes) is a still image. GIFs count as video."""
    return (
        head.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"))
        or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
        or (head[:2] == b"BM" and head[6:10] == bytes(4))  # two letters alone could begin a text
        or (head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS)
    )


def read_head(path: Path) -> bytes:
    """The first bytes of a file. Raises FewmarkError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES)
    except OSError as error:
        raise FewmarkError(f"{path}: cannot be read ({error_text(error)}); check the path") from error


def read_image(path: Path) -> ImageArray:
    """Read one image file as (H, W, 3) uint8 RGB, upright by its EXIF orientation.

    Grey becomes three equal channels, 16 bits are scaled to 8 (65535 -> 255), transparency is dropped: the colour
    stored under it is what comes out. Of an animation or several pages, the first. Raises FewmarkError if the file
    cannot be read or decoded, and for depths other than 8 and 16 bits.
    """
    try:
        data = np.fromfile(path, dtype=np.uint8)  # cv2.imread fails on non-ASCII paths on Windows
    except OSError as error:
        raise FewmarkError(f"{path}: cannot be read ({error_text(error)}); check the path") from error
    return decode_image(data, str(path))


def decode_image(data: NDArray[np.uint8], name: str) -> ImageArray:
    """The same for the content of an image file, (bytes,); ``name`` begins the error messages."""
    if data.size == 0:
        raise FewmarkError(f"{name}: the file is empty; give an image file")
    try:
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    except cv2.error as error:
        raise FewmarkError(f"{name}: cannot be decoded ({error.err}); save it again as PNG or JPEG") from error
    if bgr is None:
        if bytes(data[4:8]) == b"ftyp":
            raise FewmarkError(f"{name}: HEIC and AVIF images cannot be decoded here; save it as JPEG or PNG")
        raise FewmarkError(
            f"{name}: not a readable image (damaged, cut off or of another kind); save it as PNG or JPEG"
        )
    if bgr.dtype == np.uint16:
        bgr = cv2.convertScaleAbs(bgr, alpha=1 / 257)
    if bgr.dtype != np.uint8:
        raise FewmarkError(f"{name}: {bgr.dtype} pixels; only 8 and 16 bits are read: save it as PNG")
    return cast(ImageArray, np.ascontiguousarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)))


def list_images(folder: Path) -> list[Path]:
    """The image files of a folder, not of its subfolders, by suffix, in natural order (img2 before img10).

    Hidden files are left out. Raises FewmarkError if there is none.
    """
    try:
        files = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
    except OSError as error:
        raise FewmarkError(f"{folder}: cannot be read ({error_text(error)}); check the path") from error
    images = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]
    if not images:
        kinds = ", ".join(suffix[1:] for suffix in IMAGE_SUFFIXES)
        raise FewmarkError(f"{folder}: no images in this folder ({len(files)} other files); it takes {kinds}")
    return sorted(images, key=natural_key)


def natural_key(path: Path) -> tuple[list[tuple[int, int, str]], str]:
    """Sort key of a file name: runs of digits compare as numbers, the rest without regard to case."""
    parts = re.findall(r"[0-9]+|[^0-9]+", path.name.casefold())
    return [(0, int(part), "") if part[0] in "0123456789" else (1, 0, part) for part in parts], path.name


class ImageFiles(ReadAheadSource):
    """One image, or the images of a folder in natural order.

    Stills have no times: ``time_s`` is ``float(index)``, so 0.0 for a single image. With ``film_rate``, frames/s, the
    images of a folder are the frames of a film and have its times. ``start_s`` and ``end_s`` select from these.
    ``index`` is the position in the sorted folder and ``name`` the file name. ``SourceInfo`` gives the first image's
    size; others may differ. In a folder an unreadable image is skipped and named in ``warnings``.

    Raises FewmarkError on opening: a single image that cannot be read, a folder without one readable image, a range
    that selects none.
    """

    def __init__(
        self, path: Path, *, start_s: float | None = None, end_s: float | None = None, film_rate: float | None = None
    ) -> None:
        super().__init__(str(path))
        if film_rate is not None and not 0 < film_rate < float("inf"):
            raise FewmarkError(f"{self._name}: {film_rate:g} frames/s is no rate for a film; give a positive one")
        self._rate = film_rate or 1.0
        check_time_range(self._name, start_s, end_s)
        self._is_folder = path.is_dir()
        paths = list_images(path) if self._is_folder else [path]
        until = float("inf") if end_s is None else end_s
        self._selected = [(i, p) for i, p in enumerate(paths) if (start_s or 0.0) <= i / self._rate < until]
        if not self._selected:
            raise FewmarkError(
                f"{self._name}: none of its {len(paths)} images lies between start and end; "
                f"they count as {self._rate:g} per second, from 0 on"
            )
        first = self._start(self._read())
        if first is None:
            raise FewmarkError(f"{self._name}: no readable image; the first of them: {self.warnings[0]}")
        height, width = first.image.shape[:2]
        stills = film_rate is None
        count = len(self._selected)
        self.info = SourceInfo(self._name, width, height, film_rate, count, is_live=False, are_stills=stills)

    def _read(self) -> Generator[Frame]:
        for index, path in self._selected:
            try:
                image = read_image(path)
            except FewmarkError as error:
                if not self._is_folder:
                    raise
                self.warnings.append(f"{error}; skipped")
                continue
            yield Frame(image, index, index / self._rate, path.name)
