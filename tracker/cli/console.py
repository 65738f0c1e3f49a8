"""Terminal output: results on stdout, everything else on stderr. Texts are shown as they are, never as markup."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console
from rich.text import Text

out = Console()
err = Console(stderr=True)


def emit(text: str) -> None:
    """One line of results on stdout, such as a path."""
    out.print(Text(text), soft_wrap=True)


def fail(message: str) -> None:
    """One error line on stderr."""
    err.print(Text.assemble(("error:", "bold red"), " ", message), soft_wrap=True)


def warn(message: str) -> None:
    """One warning line on stderr."""
    err.print(Text.assemble(("warning:", "yellow"), " ", message), soft_wrap=True)


def say(message: str) -> None:
    """One plain line on stderr."""
    err.print(Text(message), soft_wrap=True)


class StopRequest:
    """Whether the user has asked to stop; the first answer that says so is also told to the user."""

    def __init__(self) -> None:
        self.made = False
        self._told = False

    def __call__(self) -> bool:
        if self.made and not self._told:  # told here, for a signal handler may interrupt another print
            self._told = True
            say("stopping: completing the files that are being written (Ctrl-C again to leave them as they are)")
        return self.made


@contextmanager
def graceful_stop() -> Iterator[StopRequest]:
    """Within the block the first Ctrl-C (or SIGTERM) only asks to stop, so that files are completed."""
    request = StopRequest()

    def handle(_signal: int, _frame: FrameType | None) -> None:
        if request.made:
            raise KeyboardInterrupt
        request.made = True

    signals = [signal.SIGINT, signal.SIGTERM]
    previous = {s: signal.signal(s, handle) for s in signals}
    try:
        yield request
    finally:
        for s, handler in previous.items():
            signal.signal(s, handler)
