"""The clock of a training run: its speed, and when a checkpoint is due."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from models.errors import FewmarkError
from training.engine.processes import Processes


class Pace:
    """Asked after every step; what it decides, all processes do alike.

    Args:
        checkpoint: where the main process saves.
        minutes: between two checkpoints.
        should_stop: says when the run is to end early.
    """

    def __init__(self, checkpoint: Path, minutes: float, processes: Processes, should_stop: Callable[[], bool]) -> None:
        self._checkpoint = checkpoint
        self._minutes = minutes
        self._processes = processes
        self._should_stop = should_stop
        self._saved_at = self._measured_at = time.monotonic()

    def per_second(self, count: float) -> float:
        """The speed of training alone, where ``count`` were done since this was last asked."""
        now = time.monotonic()
        speed = count / max(now - self._measured_at, 1e-9)
        self._measured_at = now
        return speed

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Around what is no training: it does not count against the speed."""
        begun = time.monotonic()
        yield
        self._measured_at += time.monotonic() - begun

    def ends_here(self, save: Callable[[Path], None], *, last: bool) -> bool:
        """Saves if it is time to, and says whether the run is to stop before its last step."""
        stopping = self._processes.any(self._should_stop()) and not last
        due = time.monotonic() - self._saved_at > 60 * self._minutes
        if (stopping or last or due) and self._processes.is_main:
            save(self._checkpoint)
            self._saved_at = time.monotonic()
        return stopping


def claim_checkpoint(out: Path, result: str, *, resume: bool) -> Path:
    """Where a run saves.

    Args:
        result: name of the file that a whole run leaves there.

    Raises:
        FewmarkError: a run lies there, and it is not to be resumed.
    """
    checkpoint = out / "checkpoint.pt"
    if checkpoint.exists() and not resume:
        if (out / result).exists():
            raise FewmarkError(f"{out}: holds a finished run; pass another --out, or delete this folder to start again")
        raise FewmarkError(f"{out}: holds an unfinished run; pass --resume to go on with it, or another --out")
    return checkpoint
