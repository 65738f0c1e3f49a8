"""Stills or a film? What a file holds decides, not its name: PNG, JPEG, WebP and AVIF files may be either."""

from __future__ import annotations

import mmap
import re
from pathlib import Path

from models.errors import FewmarkError
from tracker.sources.decoding import error_text

ANIMATED_SUFFIXES = (".png", ".webp", ".avif")  # of files that may be a still or an animation
JPEG = b"\xff\xd8\xff"
_PNG = b"\x89PNG\r\n\x1a\n"
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif")
_SIGNATURE_BYTES = 16
_HEAD_BYTES = 4096  # of a PNG or AVIF: what tells an animation nearly always stands within them
_SEQUENCE_BRAND = b"avis"
_ANIMATION_FLAG = 0x02  # of a WebP's VP8X chunk
# A JPEG's end and the next one's beginning: within compressed data the former can't occur.
_NEXT_JPEG = re.compile(rb"\xff\xd9\x00*\xff\xd8\xff")
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF markers of JPEG
_START_OF_SCAN, _MULTI_PICTURE_SEGMENT = 0xDA, 0xE2


def is_still(path: Path) -> bool:
    """Whether a file holds photos rather than a film; an animation is a film, a GIF always.

    Raises FewmarkError if it cannot be read.
    """
    head = read_head(path, _HEAD_BYTES)
    return is_image(head) and not is_animation(path, head) and not is_jpeg_stream(path, head)


def is_image(head: bytes) -> bool:
    """Whether a file that begins with ``head`` (16 bytes) is an image, moving or not. GIFs count as video."""
    return (
        head.startswith((JPEG, _PNG))
        or is_tiff(head)
        or is_webp(head)
        or (head[:2] == b"BM" and head[6:10] == bytes(4))  # two letters alone could begin a text
        or (head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS)
    )


def is_tiff(head: bytes) -> bool:
    """Whether a file that begins with ``head`` (16 bytes) is a TIFF."""
    return head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"))


def is_webp(head: bytes) -> bool:
    """Whether a file that begins with ``head`` (16 bytes) is a WebP."""
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def is_animation(path: Path, head: bytes | None = None) -> bool:
    """Whether a PNG, WebP or AVIF moves, from its head alone. Raises FewmarkError if it cannot be read."""
    head = read_head(path, _HEAD_BYTES) if head is None else head
    if is_webp(head):
        return head[12:16] == b"VP8X" and bool(head[20:21]) and bool(head[20] & _ANIMATION_FLAG)
    if head.startswith(_PNG):
        return _is_animated_png(path)
    if head[4:8] == b"ftyp":
        return _SEQUENCE_BRAND in head[8 : int.from_bytes(head[:4], "big")]
    return False


def read_head(path: Path, count: int = _SIGNATURE_BYTES) -> bytes:
    """The first bytes of a file. Raises FewmarkError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError as error:
        raise FewmarkError(f"{path}: cannot be read ({error_text(error)}); check the path") from error


def _is_animated_png(path: Path) -> bool:
    """Whether a chunk acTL, which announces more than one picture, stands before the first picture's data."""
    with path.open("rb") as file:
        file.seek(len(_PNG))
        while len(header := file.read(8)) == 8:
            length, kind = int.from_bytes(header[:4], "big"), header[4:]
            if kind == b"acTL":
                return int.from_bytes(file.read(4), "big") > 1
            if kind in (b"IDAT", b"IEND"):
                return False
            file.seek(length + 4, 1)  # with its checksum
    return False


def is_jpeg_stream(path: Path, head: bytes | None = None) -> bool:
    """Whether a second JPEG of the same size follows the first: Motion-JPEG. Raises FewmarkError if it cannot be read.

    Photos, too, carry further pictures: smaller ones (previews, gain maps), and those that a multi-picture segment
    lists (stereo, CIPA DC-007).
    """
    if not (read_head(path) if head is None else head).startswith(JPEG):
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        size, scan = _jpeg_header(data, 0)
        if size is None:
            return False
        end = _NEXT_JPEG.search(data, scan)
        return end is not None and _jpeg_header(data, end.end() - len(JPEG))[0] == size


def _jpeg_header(data: mmap.mmap, start: int) -> tuple[bytes | None, int]:
    """Height and width as they stand in the frame header, None if there is none or it is a multi-picture file; and
    where the compressed data begins."""
    size: bytes | None = None
    place = start + 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        if marker == 0xFF:  # a fill byte
            place += 1
            continue
        if marker == _MULTI_PICTURE_SEGMENT and data[place + 4 : place + 8] == b"MPF\0":
            return None, place
        if marker in _FRAME_HEADERS:
            size = data[place + 5 : place + 9]
        if marker == _START_OF_SCAN:
            return size, place
        place += 2 + length
    return None, place
