"""What a live session has to say between two pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from tracker.types import SourceInfo


class EventKind(Enum):
    """What happened."""

    SOURCE_OPENING = auto()
    SOURCE_RUNNING = auto()  # ``info`` tells what it is; frames come from now on
    SOURCE_NOTE = auto()  # something about it that the user may not expect, such as another size
    SOURCE_STALLED = auto()  # no frame for a while; it may come back by itself
    SOURCE_LOST = auto()  # it is tried again until it comes back
    SOURCE_FAILED = auto()  # it can't be had, and is not tried again
    SOURCE_ENDED = auto()  # by itself; one that was stopped says nothing any more
    TRACKER_LOADING = auto()
    TRACKER_READY = auto()
    TRACKER_FAILED = auto()  # the one before, if any, goes on
    RECORDING_STARTED = auto()
    RECORDING_SAVED = auto()  # ``path`` is its folder
    RECORDING_FAILED = auto()  # ``path`` is its folder; what was written is kept
    SNAPSHOT_SAVED = auto()  # ``path`` is the image
    SNAPSHOT_FAILED = auto()
    FAULT = auto()  # a fault of this program; its traceback is in the log


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """One thing that happened in a session."""

    kind: EventKind
    text: str  # for the user: what happened and what to do
    info: SourceInfo | None = None
    path: Path | None = None


Report = Callable[[LiveEvent], None]  # called from any thread; must not wait
