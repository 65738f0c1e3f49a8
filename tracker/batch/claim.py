"""One run at a time writes the files of a source."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from models.errors import FewmarkError


@contextmanager
def claimed(out: Path, stem: str) -> Iterator[None]:
    """Keeps every other run, in this program or another, from the files ``out/stem...`` within the block.

    The folder is made where it does not exist. The operating system ends the claim of a program that is killed.

    Raises:
        FewmarkError: another run has claimed them, or the folder can't be made or written to.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FewmarkError(
            f"{out}: the output folder can't be made ({error.strerror}); choose another output folder"
        ) from error
    path = out / f".{stem}.lock"
    lock = FileLock(path, blocking=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise FewmarkError(
            f"{out / stem}: another run is writing these files; wait for it to end, or choose another output folder"
        ) from error
    except OSError as error:
        raise FewmarkError(
            f"{path}: cannot be made ({error.strerror}); choose a folder that you may write to"
        ) from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows does not let go of an open file; filelock removes it there
            path.unlink()
        lock.release()
