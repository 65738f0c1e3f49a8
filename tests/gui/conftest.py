"""Qt without a screen, settings in a folder of the test's own, and no test that leaves something running."""

from __future__ import annotations

import os

os.environ["QT_QPA_PLATFORM"] = "offscreen"  # before Qt is imported

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PyQt6.QtWidgets import QApplication

from gui.model_chooser import ModelChooser
from gui.services import Action, Level, Services
from gui.settings_store import SettingsStore
from gui.theme import apply_theme

_END_S = 2.0  # what a closed window may take to end its threads


@pytest.fixture(scope="session")
def qapp_args() -> list[str]:
    return ["fewmark"]


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings, results and recordings of the person who runs the tests are left alone."""
    for variable in ("XDG_CONFIG_HOME", "XDG_VIDEOS_DIR", "APPDATA"):
        monkeypatch.setenv(variable, str(tmp_path / variable.lower()))
    monkeypatch.setattr("gui.settings_store.settings_path", lambda: tmp_path / "settings.toml")


@pytest.fixture(autouse=True)
def _nothing_is_left(qapp: QApplication) -> Iterator[None]:
    """Fails a test that leaves threads of ours or windows open."""
    threads = set(threading.enumerate())
    windows = set(QApplication.topLevelWidgets())
    yield
    deadline = time.monotonic() + _END_S
    while (left := _ours(set(threading.enumerate()) - threads)) and time.monotonic() < deadline:
        qapp.processEvents()
        time.sleep(0.01)
    shown = [widget for widget in set(QApplication.topLevelWidgets()) - windows if widget.isVisible()]
    for widget in shown:
        widget.close()
    assert not left, f"threads still running: {left}"
    assert not shown, f"windows still open: {shown}"


def _ours(threads: set[threading.Thread]) -> list[str]:
    """Ours have names; MediaPipe keeps an executor of its own for as long as the process lives."""
    return [thread.name for thread in threads if not thread.name.startswith(("pydevd", "ThreadPoolExecutor-"))]


class Messages(list[tuple[str, Level, Action | None]]):
    """Takes what would be shown in the message bar."""

    def __call__(self, text: str, level: Level = Level.INFO, action: Action | None = None) -> None:
        self.append((text, level, action))


@pytest.fixture
def messages() -> Messages:
    return Messages()


@pytest.fixture
def services(qapp: QApplication, tmp_path: Path, messages: Messages) -> Iterator[Services]:
    """What the main window gives its workspaces, with settings of the test's own."""
    apply_theme(qapp, "dark")
    store = SettingsStore(tmp_path / "settings.toml")
    yield Services(store, ModelChooser(store), messages)
    store.save()
