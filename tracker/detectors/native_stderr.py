"""Keeps the chatter of native libraries off the terminal without hiding what matters."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_stderr_lines(noise: re.Pattern[str]) -> Iterator[None]:
    """Holds back what any code, native code included, writes to stderr, and passes on the lines that are no noise.

    For short stretches: the redirection is process-wide, so other threads' lines arrive only at its end.
    """
    try:
        terminal = os.dup(2)
    except OSError:  # a windowed program without a stderr: nothing to keep clean
        yield
        return
    try:
        with tempfile.TemporaryFile() as held:
            _flush()
            os.dup2(held.fileno(), 2)
            try:
                yield
            finally:
                _flush()
                os.dup2(terminal, 2)
                held.seek(0)
                for line in held:
                    if not noise.search(line.decode(errors="replace")):
                        os.write(2, line)
    finally:
        os.close(terminal)


def _flush() -> None:
    if sys.stderr is not None:
        sys.stderr.flush()
