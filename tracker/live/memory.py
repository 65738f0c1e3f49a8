"""Keeps the garbage collector from holding up the video."""

from __future__ import annotations

import gc


def settle_memory() -> None:
    """Frees garbage, and has the collector overlook everything that is there now.

    The libraries bring hundreds of thousands of objects that stay. A full pass over them holds every thread up for
    several frames, the window's as well; a pass over what came since is over in a moment.
    """
    gc.collect()
    gc.freeze()
