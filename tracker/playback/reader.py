"""Random access to the frames of a recording, and that of image files."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from tracker.sources.images import ImageFiles, list_stills
from tracker.types import Frame, SourceInfo


class FrameReader(Protocol):
    """The frames of a recording, in any order. Single-threaded: open, read and close on one thread."""

    info: SourceInfo
    time_s: NDArray[np.float64]  # (N,) presentation times of all frames, rising

    @abstractmethod
    def read(self, index: int, is_cancelled: Callable[[], bool] = lambda: False) -> Frame | None:
        """The frame at ``index``, 0 to N - 1; where it can't be decoded, one near it, with its own index and time.

        Args:
            is_cancelled: asked while decoding; once it says so there is no frame.

        Raises:
            FewmarkError: nothing near it can be read.
        """

    @abstractmethod
    def close(self) -> None:
        """Frees the file. May be called twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ImageReader(FrameReader):
    """One image, or the images of a folder, at the times that ``tracker.sources.ImageFiles`` gives them."""

    def __init__(self, path: Path, *, film_rate: float | None = None) -> None:
        with ImageFiles(path, film_rate=film_rate) as source:
            self.info = source.info
        self._rate = film_rate or 1.0
        self._stills = list_stills(path)
        self.time_s = np.arange(len(self._stills)) / self._rate

    def read(self, index: int, is_cancelled: Callable[[], bool] = lambda: False) -> Frame | None:
        still = self._stills[index]
        return Frame(still.read(), index, index / self._rate, still.name)

    def close(self) -> None:
        """No file is kept open."""
