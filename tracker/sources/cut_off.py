"""Is a video file whole? Signs of it in the file itself, beside the length that a header announces."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from tracker.sources.file_kind import JPEG

_TAIL_BYTES = 1 << 16
_ZEROS = 1 << 10  # bytes at the end that are more than padding
_JPEG_END = b"\xff\xd9"
_OGG_LAST_PAGE = 0x04  # of a page's flags
_TRANSPORT_SYNC = 0x47
# Bytes of a packet, and where in it the sync byte stands (ISO 13818-1; with a time code before; with error correction).
_TRANSPORT_PACKETS = {188: 0, 192: 4, 204: 0}


def sign_of_cut(path: Path, container_format: str) -> str:
    """How the file ends as no whole one does, in words that follow its name; empty if it doesn't.

    Args:
        container_format: FFmpeg's name of it.
    """
    if container_format == "mpegts":
        return "ends in the middle of a transport packet" if _ends_within_a_packet(path) else ""
    with path.open("rb") as file:
        file.seek(-min(_TAIL_BYTES, path.stat().st_size), 2)
        tail = file.read()
    whole = {
        "gif": tail.endswith(b";"),
        "apng": b"IEND" in tail,
        "mjpeg": tail.rfind(_JPEG_END) > tail.rfind(JPEG),
    }
    return "" if whole.get(container_format, True) else "ends without the mark that closes it"


def is_whole(path: Path, container_format: str) -> bool:
    """Whether the file's own structure proves that nothing is missing at its end.

    Headers are no proof of the opposite: a last picture may be shown for long, and audio may go on without pictures.
    """
    with path.open("rb") as file:
        size = path.stat().st_size
        file.seek(-min(_TAIL_BYTES, size), 2)
        tail = file.read()
        if not any(tail[-_ZEROS:]):  # room that was set aside for a download, and never filled
            return False
        if container_format == "matroska,webm":
            return _segment_is_whole(file, size)
        if container_format.startswith("mov,"):
            return _boxes_are_whole(file, size)
        if container_format == "ogg":
            page = tail.rfind(b"OggS")
            return page >= 0 and bool(tail[page + 5 : page + 6]) and bool(tail[page + 5] & _OGG_LAST_PAGE)
    return False


def _segment_is_whole(file: BinaryIO, size: int) -> bool:
    """Of a Matroska file: an EBML header, then one segment, each an id of 4 bytes, its length and its content."""
    end = 0
    for _ in range(2):
        file.seek(end + 4)
        first = file.read(1)
        if not first or not first[0]:
            return False
        width = 9 - first[0].bit_length()  # of the length, whose first bit that is set says so
        value = int.from_bytes(first + file.read(width - 1), "big") & ((1 << 7 * width) - 1)
        if value == (1 << 7 * width) - 1:  # unknown, as in a live stream
            return False
        end += 4 + width + value
    return end <= size


def _boxes_are_whole(file: BinaryIO, size: int) -> bool:
    """Of an MP4 (ISO 14496-12): a row of boxes. Fragments prove nothing: more of them may have followed."""
    place = 0
    while place + 8 <= size:
        file.seek(place)
        length, kind = int.from_bytes(file.read(4), "big"), file.read(4)
        if length == 1:
            length = int.from_bytes(file.read(8), "big")
        if kind == b"moof" or 0 < length < 8:
            return False
        place = place + length if length else size
    return place == size


def _ends_within_a_packet(path: Path) -> bool:
    """Of a transport stream: the decoder does not always notice that a last picture is incomplete."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8 * max(_TRANSPORT_PACKETS))
    for length, first in _TRANSPORT_PACKETS.items():
        if all(byte == _TRANSPORT_SYNC for byte in head[first::length]):
            return size % length != 0
    return False
