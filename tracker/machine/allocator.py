"""The C library's memory allocator, told how this program uses threads and frames."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

# glibc's malloc.h
_M_ARENA_MAX = -8
_M_MMAP_THRESHOLD = -3

ARENAS = 2
FRAME_BYTES = 2**21  # a picture of 1280x720 has 2.6 of them; what smaller ones leave behind is small too


def limit_arenas() -> bool:
    """Keeps glibc to two malloc arenas; to be called before threads start.

    By default it makes up to eight a core. Frames pass between the threads that decode, track and encode, so that each
    arena ends up with holes that only another thread's frames would fit, and a long run's memory creeps up. Other C
    libraries have no such setting and need none.

    Returns:
        Whether there was something to set.
    """
    return _set(_M_ARENA_MAX, ARENAS)


def give_frames_back() -> bool:
    """Has glibc give the memory of every freed frame back to the system at once.

    By default it learns from the first frames that such blocks come and go, keeps them on its heap from then on, and
    leaves holes wherever something small was allocated between two frames. Not for training, whose large blocks are
    many and short-lived: each would be obtained from the system anew.

    Returns:
        Whether there was something to set.
    """
    return _set(_M_MMAP_THRESHOLD, FRAME_BYTES)


def _set(parameter: int, value: int) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    mallopt: Callable[[int, int], int] | None = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    return mallopt is not None and mallopt(parameter, value) == 1
