"""What every sink promises, and the file of whole lines that the text sinks share."""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from pathlib import Path
from typing import Protocol, Self

from models.errors import FewmarkError
from tracker.types import TrackingResult


class ResultSink(Protocol):
    """Takes tracking results one by one and streams them to disk; memory stays flat.

    Single-threaded: ``write`` and ``close`` are called from one thread. After an error nothing that was written before
    is lost, and ``close`` still has to be called (leaving the ``with`` block does it).
    """

    @abstractmethod
    def write(self, result: TrackingResult) -> None:
        """Append one frame. Raises FewmarkError where the output can't be written (full disk, vanished drive)."""

    @abstractmethod
    def close(self) -> None:
        """Complete the output. A second call does nothing. Raises FewmarkError as ``write`` does."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class LineFile:
    """A text file to which whole lines are appended: UTF-8, LF ends on every system.

    The file stands under its final name from the start, and each line goes to the operating system at once: a run that
    is killed keeps every line. After a failed write the file is cut back to its last whole line.
    """

    def __init__(self, path: Path, header: str) -> None:
        self.path = path
        self._size = 0  # bytes of whole lines
        try:
            self._file = path.open("wb", buffering=0)
        except OSError as error:
            raise cannot_create(path, error.strerror) from error
        try:
            self.append(header)
        except FewmarkError:
            self.close()
            raise

    def append(self, lines: str) -> None:
        """Write whole lines, the last LF included."""
        # An undecodable file name holds lone surrogates, which UTF-8 can't carry.
        data = lines.encode("utf-8", "backslashreplace")
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            with contextlib.suppress(OSError):  # a device, or the disk is gone: the first error is the one to tell
                self._file.truncate(self._size)
                self._file.seek(self._size)
            raise cannot_continue(self.path, error.strerror) from error
        self._size += len(data)

    def close(self) -> None:
        try:
            self._file.close()
        except OSError as error:
            raise cannot_continue(self.path, error.strerror) from error


def cannot_create(path: Path, cause: str | None) -> FewmarkError:
    return FewmarkError(f"{path}: cannot be created ({cause}); choose a folder that exists and that you may write to")


def cannot_continue(path: Path, cause: str | None, kept: str = "all complete lines before it are kept") -> FewmarkError:
    return FewmarkError(f"{path}: writing failed ({cause}); {kept}; check the space left on that disk")
