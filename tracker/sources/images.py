"""Still images: one file, or a folder of them."""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import FewmarkError
from tracker.sources.base import ReadAheadSource, check_time_range
from tracker.sources.decoding import error_text
from tracker.sources.file_kind import ANIMATED_SUFFIXES, is_animation, is_jpeg_stream, is_tiff, read_head
from tracker.sources.tiff_pages import pages_of
from tracker.types import Frame, ImageArray, SourceInfo

_READ = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


@dataclass(frozen=True, slots=True)
class Still:
    """One picture: an image file, or a page of one."""

    path: Path
    page: int | None = None  # position in a TIFF of several pages, from 0

    @property
    def name(self) -> str:
        """The file's name, or one that tells its pages apart."""
        path = self.path
        return path.name if self.page is None else f"{path.stem}.page{self.page + 1}{path.suffix}"

    def read(self) -> ImageArray:
        """See ``read_image``."""
        return read_image(self.path, self.page)


def list_stills(path: Path) -> list[Still]:
    """What is to be seen in an image file, or in the image files of a folder: each, or each of its pages.

    Raises FewmarkError as ``list_images`` does.
    """
    stills = []
    for file in list_images(path) if path.is_dir() else [path]:
        pages = pages_of(file) if is_tiff(read_head(file)) else []
        stills += [Still(file, page) for page in pages] if len(pages) > 1 else [Still(file)]
    return stills


def read_image(path: Path, page: int | None = None) -> ImageArray:
    """Read one image file as (H, W, 3) uint8 RGB, upright by its EXIF orientation.

    Grey becomes three equal channels, 16 bits are scaled to 8 (65535 -> 255), transparency is dropped: the colour
    stored under it is what comes out. Of an animation the first picture, of several pages the one at ``page``, or the
    first. Raises FewmarkError if the file cannot be read or decoded, and for depths other than 8 and 16 bits.
    """
    try:
        data = np.fromfile(path, dtype=np.uint8)  # cv2.imread fails on non-ASCII paths on Windows
    except OSError as error:
        raise FewmarkError(f"{path}: cannot be read ({error_text(error)}); check the path") from error
    return decode_image(data, str(path), page)


def decode_image(data: NDArray[np.uint8], name: str, page: int | None = None) -> ImageArray:
    """The same for the content of an image file, (bytes,); ``name`` begins the error messages."""
    if data.size == 0:
        raise FewmarkError(f"{name}: the file is empty; give an image file")
    try:
        if page is None:
            bgr = cv2.imdecode(data, _READ)
        else:
            found, pages = cv2.imdecodemulti(data, _READ, range=(page, page + 1))
            bgr = pages[0] if found and pages else None
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

    Hidden files are left out, and animated PNG and WebP, which are films; JPEGs are not looked into. Raises
    FewmarkError if there is none.
    """
    try:
        files = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
    except OSError as error:
        raise FewmarkError(f"{folder}: cannot be read ({error_text(error)}); check the path") from error
    images = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES and not _moves(path)]
    if not images:
        kinds = ", ".join(suffix[1:] for suffix in IMAGE_SUFFIXES)
        raise FewmarkError(f"{folder}: no images in this folder ({len(files)} other files); it takes {kinds}")
    return sorted(images, key=natural_key)


def _moves(path: Path) -> bool:
    try:
        return path.suffix.lower() in ANIMATED_SUFFIXES and is_animation(path)
    except FewmarkError:  # reading it says what is wrong
        return False


def natural_key(path: Path) -> tuple[list[tuple[int, int, str]], str]:
    """Sort key of a file name: runs of digits compare as numbers, the rest without regard to case."""
    parts = re.findall(r"[0-9]+|[^0-9]+", path.name.casefold())
    return [(0, int(part), "") if part[0] in "0123456789" else (1, 0, part) for part in parts], path.name


class ImageFiles(ReadAheadSource):
    """One image, or the images of a folder in natural order; each page of a TIFF is an image.

    Stills have no times: ``time_s`` is ``float(index)``, so 0.0 for a single image. With ``film_rate``, frames/s, the
    images of a folder are the frames of a film and have its times. ``start_s`` and ``end_s`` select from these.
    ``index`` is the position among them and ``name`` the file name, a page's with its number. ``SourceInfo``
    gives the first image's size; others may differ. In a folder an unreadable image is skipped and named in
    ``warnings``.

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
        stills = list_stills(path)
        until = float("inf") if end_s is None else end_s
        self._is_folder = path.is_dir()
        self._is_alone = len(stills) == 1 and not self._is_folder
        self._selected = [(i, still) for i, still in enumerate(stills) if (start_s or 0.0) <= i / self._rate < until]
        if not self._selected:
            raise FewmarkError(
                f"{self._name}: none of its {len(stills)} images lies between start and end; "
                f"they count as {self._rate:g} per second, from 0 on"
            )
        first = self._start(self._read())
        if first is None:
            raise FewmarkError(f"{self._name}: no readable image; the first of them: {self.warnings[0]}")
        height, width = first.image.shape[:2]
        count = len(self._selected)
        self.info = SourceInfo(self._name, width, height, film_rate, count, is_live=False, are_stills=film_rate is None)

    def _read(self) -> Generator[Frame]:
        for index, still in self._selected:
            try:
                image = still.read()
            except FewmarkError as error:
                if self._is_alone:
                    raise
                self.warnings.append(f"{error}; skipped")
                continue
            if self._is_folder and is_jpeg_stream(still.path):
                self.warnings.append(
                    f"{still.path}: a film of JPEGs, of which the first is taken; name the file itself"
                )
            yield Frame(image, index, index / self._rate, still.name)
