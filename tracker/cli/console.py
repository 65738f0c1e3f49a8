"""Terminal output: results on stdout, everything else on stderr."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console
from rich.markup import escape

out = Console()
err = Console(stderr=True)


def fail(message: str) -> None:
    """One error line on stderr."""
    err.print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True, highlight=False)


def warn(message: str) -> None:
    """One warning line on stderr."""
    err.print(f"[yellow]warning:[/] {escape(message)}", soft_wrap=True, highlight=False)


def say(message: str) -> None:
    """One plain line on stderr."""
    err.print(escape(message), soft_wrap=True, highlight=False)


class StopRequest:
    """Whether the user has asked to stop."""

    def __init__(self) -> None:
        self.made = False

    def __call__(self) -> bool:
        return self.made


@contextmanager
def graceful_stop() -> Iterator[StopRequest]:
    """Within the block the first Ctrl-C (or SIGTERM) only asks to stop, so that files are completed."""
    request = StopRequest()

    def handle(_signal: int, _frame: FrameType | None) -> None:
        if request.made:
            raise KeyboardInterrupt
        request.made = True
        say("stopping: completing the file that is being written (Ctrl-C again to leave it)")

    signals = [signal.SIGINT, signal.SIGTERM]
    previous = {s: signal.signal(s, handle) for s in signals}
    try:
        yield request
    finally:
        for s, handler in previous.items():
            signal.signal(s, handler)
