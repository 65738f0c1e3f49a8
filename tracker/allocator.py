"""The C library's memory allocator, told how this program uses threads."""

from __future__ import annotations

import ctypes
import sys

_M_ARENA_MAX = -8  # glibc's malloc.h
ARENAS = 2


def limit_arenas() -> bool:
    """Keeps glibc to two malloc arenas; to be called before threads start.

    By default it makes up to eight a core. Frames pass between the threads that decode, track and encode, so that each
    arena ends up with holes that only another thread's frames would fit, and a long run's memory creeps up. Other C
    libraries have no such setting and need none.

    Returns:
        Whether there was something to set.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    return mallopt is not None and mallopt(_M_ARENA_MAX, ARENAS) == 1
