"""Animated WebP, which FFmpeg does not decode: libwebp does, through Pillow."""

from __future__ import annotations

import io
from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.errors import FewmarkError
from tracker.sources.base import ReadAheadSource, check_time_range
from tracker.sources.decoding import error_text
from tracker.types import Frame, ImageArray, SourceInfo

_HEADER = 12  # bytes of "RIFF", the length, "WEBP"
_SHORTEST_MS = 10  # browsers play what is shorter as 100 ms
_INSTEAD_MS = 100


class WebpAnimation:
    """The frames of an animated WebP file, (H, W, 3) uint8 RGB, transparency dropped.

    Going back decodes from the front. Raises FewmarkError on opening: not readable, or not one whole frame in it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            data = path.read_bytes()
        except OSError as error:
            raise FewmarkError(f"{path}: cannot be read ({error_text(error)}); check the path") from error
        durations_ms, whole = [], _HEADER
        for kind, start, end in _chunks(data):
            whole = end
            if kind == b"ANMF":
                duration_ms = int.from_bytes(data[start + 12 : start + 15], "little")
                durations_ms.append(duration_ms if duration_ms > _SHORTEST_MS else _INSTEAD_MS)
        if not durations_ms:
            raise FewmarkError(f"{path}: no whole frame in this animation; the file is cut off or damaged")
        self.is_cut_off = whole < _HEADER - 4 + int.from_bytes(data[4:8], "little")
        self.time_s: NDArray[np.float64] = np.cumsum([0, *durations_ms[:-1]]) / 1000  # (N,)
        self.duration_s = sum(durations_ms) / 1000
        if self.is_cut_off:  # libwebp refuses a length that is not there
            data = data[:4] + (whole - 8).to_bytes(4, "little") + data[8:whole]
        try:
            self._image = Image.open(io.BytesIO(data), formats=["WEBP"])
        except (OSError, SyntaxError) as error:
            raise FewmarkError(f"{path}: not a readable WebP animation ({error}); save it as a video") from error

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, px."""
        return self._image.size

    def read(self, index: int) -> ImageArray:
        """Raises FewmarkError where it is damaged."""
        try:
            self._image.seek(index)
            return np.array(self._image.convert("RGB"))
        except (OSError, EOFError, SyntaxError) as error:
            raise FewmarkError(f"{self._path}: frame {index + 1} can't be decoded; the file is damaged") from error

    def close(self) -> None:
        self._image.close()


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, where the content begins and where the next chunk begins, of every whole chunk (RIFF; of even length)."""
    place = _HEADER
    while place + 8 <= len(data):
        length = int.from_bytes(data[place + 4 : place + 8], "little")
        start, place = place + 8, place + 8 + length + length % 2
        if place > len(data):
            return
        yield data[start - 8 : start - 4], start, place


class AnimatedWebp(ReadAheadSource):
    """All frames of an animated WebP, from 0 s on; ``start_s`` and ``end_s`` select from them.

    Raises FewmarkError on opening as ``WebpAnimation`` does, and where no frame lies in the range. What is cut off or
    damaged later is said in ``warnings``.
    """

    def __init__(self, path: Path, *, start_s: float | None = None, end_s: float | None = None) -> None:
        super().__init__(str(path))
        check_time_range(self._name, start_s, end_s)
        self._animation = WebpAnimation(path)
        times = self._animation.time_s
        until = np.inf if end_s is None else end_s
        self._selected = np.flatnonzero((times >= (start_s or 0.0)) & (times < until))
        if self._start(self._read()) is None:
            duration_s = self._animation.duration_s
            nothing = f"{self._name}: no frame lies between start and end; it lasts {duration_s:.2f} s"
            raise FewmarkError(self.warnings[0] if self.warnings else nothing)
        self.info = animation_info(self._name, self._animation)

    def close(self) -> None:
        super().close()
        self._animation.close()

    def _read(self) -> Generator[Frame]:
        for index in self._selected.tolist():
            try:
                image = self._animation.read(index)
            except FewmarkError as error:
                self.warnings.append(str(error))
                return
            yield Frame(image, index, float(self._animation.time_s[index]))
        if self._animation.is_cut_off:
            self.warnings.append(f"{self._name}: ends before its header says; the file is cut off")


def animation_info(name: str, animation: WebpAnimation) -> SourceInfo:
    """What is known of it as a source."""
    count, steps = len(animation.time_s), np.diff(animation.time_s)
    is_steady = count > 1 and bool(np.ptp(steps) <= 0.1 * steps.mean())
    rate = count / animation.duration_s if is_steady else None
    return SourceInfo(name, *animation.size, rate, count, is_live=False)
