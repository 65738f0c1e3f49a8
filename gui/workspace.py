"""What the main window asks of a workspace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QWidget

from tracker.backends import PassedOver


@dataclass(frozen=True, slots=True)
class Shortcut:
    """A key that works while its workspace is shown, listed on the help page.

    A control that has the keyboard and needs the key itself goes first: Space presses the button that Tab led to.
    """

    key: str  # as QKeySequence reads it: "Space", "Ctrl+O"
    text: str  # what it does, an imperative: "Start or stop the camera"; empty: a second key, not listed
    handler: Callable[[], object]
    repeats: bool = False  # also while the key is held down


@dataclass(frozen=True, slots=True)
class Status:
    """What the status line shows of a workspace; None and "" are left out."""

    model: str = ""  # the one that really runs
    backend: str = ""  # the one that really runs
    device: str = ""  # what it computes on, for people
    passed_over: tuple[PassedOver, ...] = ()  # why no better backend runs: tracker.backends.Choice.passed_over
    camera_rate: float | None = None  # frames/s that arrive
    model_rate: float | None = None  # frames/s that are tracked
    shown_rate: float | None = None  # frames/s that are painted
    latency_ms: float | None = None  # from capture to paint
    replaced: int | None = None  # live frames that a newer one took the place of
    activity: str = ""  # what it is busy with: "Loading model ...", "Processing film.mp4, 2 min left"


class Workspace(QWidget):
    """A page of the main window. All methods are called in the GUI thread."""

    title = ""  # of its tab
    opens_files = False  # files that are dropped onto the window belong here

    status_changed = pyqtSignal(object)  # Status; may be emitted several times a second

    def activate(self) -> None:
        """It is shown now: take up what ``deactivate`` paused."""

    def deactivate(self) -> None:
        """Another workspace is shown now: stop what only a visible page needs."""

    def request_end(self) -> None:
        """The window closes: begins to end every thread and to complete what is being written. Returns at once."""

    def join(self, timeout_s: float) -> bool:
        """Waits for that, after ``request_end``.

        Returns:
            False if a thread has not ended in time: one that loads a model or waits for a driver can't be stopped.
        """
        return True

    def shortcuts(self) -> Sequence[Shortcut]:
        """Keys that work while it is shown."""
        return ()

    def open_inputs(self, inputs: Sequence[str]) -> None:
        """Opens what the command line or a drop names: files, folders, cameras, addresses.

        The workspace need not be shown yet; ``activate`` follows then.
        """
