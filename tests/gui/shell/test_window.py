"""The main window, with small workspaces of the test's own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from PyQt6.QtCore import QMimeData, QPointF, Qt, QUrl
from PyQt6.QtGui import QDropEvent
from PyQt6.QtWidgets import QApplication, QDialog
from pytestqt.qtbot import QtBot

from gui.app import tell_faults
from gui.look import theme
from gui.look.theme import apply_theme
from gui.services import Level, Services
from gui.settings.settings_store import SettingsStore
from gui.shell.main_window import MainWindow
from gui.shell.status_line import StatusLine
from gui.widgets import Button, Choice
from gui.workspace import Shortcut, Status, Workspace

Windows = Callable[[], MainWindow]


class Diary(Workspace):
    """Writes down what it is told."""

    def __init__(self, services: Services) -> None:
        super().__init__()
        self.services = services
        self.entries: list[object] = []
        self.button = Button("Press", parent=self)
        self.button.clicked.connect(lambda: self.entries.append("pressed"))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def activate(self) -> None:
        self.entries.append("activate")

    def deactivate(self) -> None:
        self.entries.append("deactivate")

    def request_end(self) -> None:
        self.entries.append("request_end")

    def join(self, timeout_s: float) -> bool:
        self.entries.append("join")
        return True

    def shortcuts(self) -> Sequence[Shortcut]:
        return (
            Shortcut("Space", "Play or pause", lambda: self.entries.append("space")),
            Shortcut("Right", "Step", lambda: self.entries.append("right"), repeats=True),
        )

    def open_inputs(self, inputs: Sequence[str]) -> None:
        self.entries.append(tuple(inputs))


class First(Diary):
    title = "First"


class Second(Diary):
    title = "Second"
    opens_files = True


class Busy(Diary):
    title = "Busy"

    def join(self, timeout_s: float) -> bool:
        super().join(timeout_s)
        return False


class Stubborn(Diary):
    title = "Stubborn"

    def request_end(self) -> None:
        raise OSError("the disk is full")


@pytest.fixture
def open_window(qtbot: QtBot, qapp: QApplication, tmp_path: Path) -> Iterator[Windows]:
    """Opens windows on the same settings file, one after the other as a user would."""
    apply_theme(qapp, "dark")

    def make() -> MainWindow:
        window = MainWindow(qapp, SettingsStore(tmp_path / "settings.toml"), (First, Second))
        qtbot.addWidget(window)
        window.show()
        window.open()
        return window

    yield make
    apply_theme(qapp, "dark")


def _diary(window: MainWindow, title: str) -> Diary:
    workspace = window.workspaces[title]
    assert isinstance(workspace, Diary)
    return workspace


def test_one_workspace_is_in_front_at_a_time(open_window: Windows, qtbot: QtBot) -> None:
    window = open_window()
    first, second = _diary(window, "First"), _diary(window, "Second")
    assert (window.front, first.entries, second.entries) == ("First", ["activate"], [])
    qtbot.keyClick(window, Qt.Key.Key_2, Qt.KeyboardModifier.ControlModifier)
    assert window.front == "Second"
    assert (first.entries, second.entries) == (["activate", "deactivate"], ["activate"])
    assert second.isVisible()
    assert not first.isVisible()
    window.close()
    assert first.entries[-2:] == second.entries[-2:] == ["request_end", "join"]


def test_the_next_window_begins_where_the_last_one_ended(open_window: Windows) -> None:
    window = open_window()
    window.show_workspace("Second")
    window.resize(800, 600)
    window.close()
    again = open_window()
    assert again.front == "Second"
    assert (again.width(), again.height()) == (800, 600)  # on the offscreen 800 x 800


def test_a_workspace_that_fails_to_end_does_not_keep_the_others(
    qtbot: QtBot, qapp: QApplication, tmp_path: Path
) -> None:
    window = MainWindow(qapp, SettingsStore(tmp_path / "settings.toml"), (Stubborn, First))
    window.open()
    with qtbot.captureExceptions() as faults:
        window.close()
    assert _diary(window, "First").entries == ["request_end", "join"]
    assert [str(fault) for _, group, _ in faults for fault in getattr(group, "exceptions", ())] == ["the disk is full"]
    assert (tmp_path / "settings.toml").is_file()


def test_it_is_known_that_a_thread_could_not_be_stopped(qtbot: QtBot, qapp: QApplication, tmp_path: Path) -> None:
    window = MainWindow(qapp, SettingsStore(tmp_path / "settings.toml"), (First, Busy, Second))
    qtbot.addWidget(window)
    window.open()
    window.close()
    assert not window.has_ended
    assert _diary(window, "Second").entries == ["request_end", "join"]


def test_keys_reach_the_workspace_in_front(open_window: Windows, qtbot: QtBot) -> None:
    window = open_window()
    first = _diary(window, "First")
    first.setFocus()
    qtbot.keyClick(first, Qt.Key.Key_Space)
    qtbot.keyClick(first, Qt.Key.Key_Right)
    assert first.entries == ["activate", "space", "right"]
    first.button.setFocus()
    qtbot.keyClick(first.button, Qt.Key.Key_Space)
    assert first.entries[3:] == ["pressed"]  # the button that the keyboard is on goes first
    assert _diary(window, "Second").entries == []
    window.close()


def test_help_lists_every_key(open_window: Windows, qtbot: QtBot) -> None:
    window = open_window()
    qtbot.keyClick(window, "?")
    (page,) = (dialog for dialog in window.findChildren(QDialog) if dialog.isVisible())
    texts = [getattr(child, "text", str)() for child in page.findChildren(object)]  # type: ignore[type-var]
    assert {"Play or pause", "Step", "Show Second", "Show this page"} <= set(texts)
    window.close()
    assert not page.isVisible()


def test_dropped_files_open_where_files_belong(open_window: Windows, tmp_path: Path) -> None:
    window = open_window()
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(tmp_path / "film.mp4"))])
    drop = QDropEvent(
        QPointF(100, 300), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    )
    window.dropEvent(drop)
    assert drop.isAccepted()
    assert window.front == "Second"
    assert _diary(window, "Second").entries == [(str(tmp_path / "film.mp4"),), "activate"]
    window.close()


def test_the_line_below_is_about_the_workspace_in_front(open_window: Windows) -> None:
    window = open_window()
    _diary(window, "Second").status_changed.emit(Status(model="of the second"))
    _diary(window, "First").status_changed.emit(Status("fine256", "openvino", "CPU"))
    (line,) = window.findChildren(StatusLine)
    shown = lambda: [getattr(child, "text", str)() for child in line.findChildren(object)]  # type: ignore[type-var]  # noqa: E731
    assert "fine256 on OpenVINO, CPU" in shown()
    window.show_workspace("Second")
    assert "of the second" in shown()
    window.close()


def test_the_engine_chooser_tells_what_automatic_came_to(open_window: Windows) -> None:
    window = open_window()
    _diary(window, "First").status_changed.emit(Status("fine256", "openvino", "CPU"))
    titles = [choice.currentText() for choice in window.findChildren(Choice)]
    assert "Automatic (OpenVINO)" in titles
    window.services.models.choose_backend("eager")
    assert "PyTorch" in [choice.currentText() for choice in window.findChildren(Choice)]
    window.close()


def test_a_model_file_that_is_gone_is_said_and_not_chosen(open_window: Windows, tmp_path: Path) -> None:
    window = open_window()
    before = window.services.models.model
    window._choose_model(str(tmp_path / "gone.safetensors"))
    assert "no such model file" in window.messages.text
    assert window.services.models.model == before
    window.close()


def test_the_theme_is_a_setting(open_window: Windows) -> None:
    window = open_window()
    window.services.settings.update("window", theme="light")
    assert theme.current() is theme.LIGHT
    window.services.settings.update("window", theme="dark")
    assert theme.current() is theme.DARK
    window.close()


def test_the_theme_follows_the_desktop_unless_one_is_chosen(
    open_window: Windows, qapp: QApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    window, hints = open_window(), qapp.styleHints()
    assert hints is not None
    desktop = Qt.ColorScheme.Light
    monkeypatch.setattr(
        "gui.look.theme.system_theme", lambda _app: "light" if desktop == Qt.ColorScheme.Light else "dark"
    )
    hints.colorSchemeChanged.emit(desktop)  # Qt without a screen has no desktop that could change it
    assert theme.current() is theme.LIGHT
    desktop = Qt.ColorScheme.Dark
    hints.colorSchemeChanged.emit(desktop)
    assert theme.current() is theme.DARK
    window.services.settings.update("window", theme="dark")
    desktop = Qt.ColorScheme.Light
    hints.colorSchemeChanged.emit(desktop)
    assert theme.current() is theme.DARK
    window.close()


def test_trouble_with_the_settings_file_is_shown(open_window: Windows, tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("[live]\nfuture = 1\n", encoding="utf-8")
    window = open_window()
    assert "live.future is unknown" in window.messages.text
    window.close()


def test_a_fault_is_told_in_the_window_and_on_the_terminal(
    qapp: QApplication, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    told: list[tuple[str, Level]] = []
    tell_faults(lambda text, level=Level.INFO, action=None: told.append((text, level)))
    error = ValueError("seven is no face")
    sys.excepthook(ValueError, error, None)
    assert told[0][1] is Level.ERROR
    assert "ValueError: seven is no face" in told[0][0]
    assert "ValueError: seven is no face" in capsys.readouterr().err
