"""A program that loads makes objects that stay; Python's collector would look through them again and again."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """Within the block Python's garbage collector is off; what was made in it is left out of all later collections.

    Importing torch and MediaPipe makes 400,000 objects: looking through them takes a quarter of the time that the
    imports take, and longer than tracking a photo after each one. Not for what is thrown away later in cycles of
    references.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()
