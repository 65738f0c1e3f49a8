"""What every workspace is given: settings, the choice of model and backend, and a way to tell the user something."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from gui.settings.model_chooser import ModelChooser
from gui.settings.settings_store import SettingsStore


class Level(Enum):
    """How much a message matters."""

    INFO = "info"  # goes away by itself
    SUCCESS = "success"  # goes away by itself
    WARNING = "warning"  # stays until it is closed
    ERROR = "error"  # stays until it is closed


@dataclass(frozen=True, slots=True)
class Action:
    """A button of a message."""

    text: str  # an imperative: "Show in folder"
    run: Callable[[], object]


class Notify(Protocol):
    """Shows a message in the window without stopping anything. GUI thread only."""

    def __call__(self, text: str, level: Level = Level.INFO, action: Action | None = None) -> None:
        """
        Args:
            text: a sentence that says what happened, and one that says what to do.
            action: that next step as a button.
        """
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """Handed to every workspace by the main window."""

    settings: SettingsStore
    models: ModelChooser
    notify: Notify
