"""What the tests of both workspaces wait for and read off them."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtWidgets import QLabel, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from gui.services import Action, Level
from gui.video import VideoWorkspace
from gui.video.entry import Entry
from models.errors import FewmarkError
from tracker.config import TrackerConfig
from tracker.following.pipeline import FaceTracker

PATIENCE_MS = 180_000  # a busy machine is no failure
WAIT_MS = 120_000  # the same, for recordings
Messages = list[tuple[str, Level, Action | None]]
MakeWorkspace = Callable[[], VideoWorkspace]


def wait_until(qtbot: QtBot, condition: Callable[[], object]) -> None:
    qtbot.waitUntil(lambda: bool(condition()), timeout=WAIT_MS)


def control(parent: QWidget, text: str) -> QPushButton:
    """The button or chip of that name."""
    (found,) = (b for b in parent.findChildren(QPushButton) if b.text() == text)
    return found


def texts_in(widget: QWidget) -> list[str]:
    """What a widget says to its reader."""
    return [label.text() for label in widget.findChildren(QLabel) if label.isVisible()]


def no_tracker(_config: TrackerConfig) -> FaceTracker:
    raise FewmarkError("no model here; install one")


def entry_of(workspace: VideoWorkspace) -> Entry:
    entry = workspace.library.get(workspace._chosen)
    assert entry is not None
    return entry


def shown_index(workspace: VideoWorkspace) -> int | None:
    picture = workspace.stage.picture
    return None if picture is None else picture.frame.index


def processed(workspace: VideoWorkspace) -> bool:
    return entry_of(workspace).loaded is not None
