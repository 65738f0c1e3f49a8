"""Is a video file whole? Signs of it in the file itself, where no header announces a length."""

from __future__ import annotations

from pathlib import Path

from tracker.sources.file_kind import JPEG

_TAIL_BYTES = 1 << 16
_JPEG_END = b"\xff\xd9"
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


def _ends_within_a_packet(path: Path) -> bool:
    """Of a transport stream: the decoder does not always notice that a last picture is incomplete."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8 * max(_TRANSPORT_PACKETS))
    for length, first in _TRANSPORT_PACKETS.items():
        if all(byte == _TRANSPORT_SYNC for byte in head[first::length]):
            return size % length != 0
    return False
