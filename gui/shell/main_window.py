"""The main window: tabs, the choice of model and engine, messages, workspaces, status line."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from time import monotonic

from PyQt6.QtCore import QByteArray, Qt
from PyQt6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QKeyEvent, QKeySequence
from PyQt6.QtWidgets import QApplication, QDialog, QFileDialog, QMainWindow, QStackedWidget, QVBoxLayout, QWidget

from gui.look import theme
from gui.look.icon_set import application_icon
from gui.look.stylesheet import style_sheet
from gui.look.theme import Theme, apply_theme
from gui.services import Action, Level, Services
from gui.settings.model_chooser import ModelChooser
from gui.settings.settings_panel import SettingsPanel
from gui.settings.settings_schema import Settings
from gui.settings.settings_store import SettingsStore
from gui.shell.help_page import HelpPage
from gui.shell.message_bar import MessageBar
from gui.shell.shortcut_table import ShortcutTable
from gui.shell.status_line import StatusLine
from gui.shell.top_bar import TopBar
from gui.workspace import Shortcut, Status, Workspace
from models.errors import FewmarkError

_SIZE = (1280, 800)  # px, of the first start
_END_S = 2.0  # what the threads of all workspaces together have to end
_SMALLEST = (800, 480)  # px; a full-HD screen at 200 % has 960 x 540

WorkspaceMaker = Callable[[Services], Workspace]


class MainWindow(QMainWindow):
    """Holds the workspaces and what they share. It takes its parts from outside: tests give it others."""

    def __init__(self, app: QApplication, settings: SettingsStore, makers: Sequence[WorkspaceMaker]) -> None:
        """
        Args:
            makers: one for every workspace, in the order of the tabs.
        """
        super().__init__()
        self._app, self._settings = app, settings
        self._dialogs: dict[str, QDialog] = {}
        self._status: dict[str, Status] = {}
        self.has_ended = True  # False after closing with a thread that could not be stopped
        self.messages = MessageBar()
        self.services = Services(settings, ModelChooser(settings, self), self.messages.notify)
        self.workspaces: dict[str, Workspace] = {}
        for make in makers:
            workspace = make(self.services)
            self.workspaces[workspace.title] = workspace
            workspace.status_changed.connect(partial(self._on_status, workspace.title))
        self._front = ""
        self._top = TopBar(tuple(self.workspaces), self.services.models)
        self._stack = QStackedWidget()
        self._status_line = StatusLine()
        self._lay_out()
        self._wear(theme.current())
        self._connect()
        self._global_keys = ShortcutTable(self._global_shortcuts())
        self._keys = {title: ShortcutTable(page.shortcuts()) for title, page in self.workspaces.items()}
        self._restore_place()
        if settings.problem:
            self.messages.notify(settings.problem, Level.WARNING)

    @property
    def front(self) -> str:
        """Title of the workspace that is shown; empty before ``open``."""
        return self._front

    def open(self, title: str = "", inputs: Sequence[str] = ()) -> None:
        """Shows a workspace and has it open what is named.

        Args:
            title: of a workspace; empty: the one that was shown last.
            inputs: files, folders, cameras or addresses.
        """
        wanted = title or self._settings.current.window.workspace
        found = wanted if wanted in self.workspaces else next(iter(self.workspaces))
        if inputs:  # before it is shown, so that it doesn't start with what it had last time
            self.workspaces[found].open_inputs(inputs)
        self.show_workspace(found)

    def show_workspace(self, title: str) -> None:
        """Brings a workspace to the front."""
        if title == self._front:
            return
        if self._front:
            self.workspaces[self._front].deactivate()
        self._front = title
        self._stack.setCurrentWidget(self.workspaces[title])
        self._top.show_tab(title)
        self._status_line.show_status(self._status.get(title, Status()))
        self._settings.update("window", workspace=title)
        self.workspaces[title].activate()
        self.workspaces[title].setFocus()  # its keys work at once

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Ends every workspace's threads; one that fails to does not keep the others from it."""
        place = b64encode(self.saveGeometry().data()).decode()
        self._settings.update("window", geometry=place)
        for window in (*self._dialogs.values(), self):
            window.hide()  # whatever has to be waited for
        deadline = monotonic() + _END_S
        faults = []
        for end in (lambda workspace: workspace.request_end(), partial(self._join, deadline)):
            for workspace in self.workspaces.values():
                try:
                    end(workspace)
                except Exception as error:  # told below, once all have been asked
                    faults.append(error)
        self._settings.save()
        super().closeEvent(event)
        if faults:
            raise ExceptionGroup("while the window was being closed", faults)

    def _join(self, deadline: float, workspace: Workspace) -> None:
        self.has_ended = workspace.join(max(deadline - monotonic(), 0.0)) and self.has_ended

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Keys that no control wanted: those of the workspace in front, then the window's own."""
        if event is None:
            return
        for table in (self._keys.get(self._front), self._global_keys):
            if table is not None and table.handle(event):
                return
        super().keyPressEvent(event)

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        if event is not None and _dropped_paths(event):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:
        """Files that the workspace in front does not take itself open in the one that does."""
        title = next((title for title, page in self.workspaces.items() if page.opens_files), "")
        if event is not None and title and (paths := _dropped_paths(event)):
            event.acceptProposedAction()
            self.open(title, paths)

    def _lay_out(self) -> None:
        self.setWindowTitle("Fewmark")
        self.setWindowIcon(application_icon())
        self.setAcceptDrops(True)
        self.setMinimumSize(*_SMALLEST)
        for workspace in self.workspaces.values():
            self._stack.addWidget(workspace)
        centre = QWidget()
        column = QVBoxLayout(centre)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._top)
        column.addWidget(self.messages)
        column.addWidget(self._stack, 1)
        column.addWidget(self._status_line)
        self.setCentralWidget(centre)

    def _connect(self) -> None:
        self._top.tab_chosen.connect(self.show_workspace)
        self._top.model_chosen.connect(self._choose_model)
        self._top.backend_chosen.connect(self.services.models.choose_backend)
        self._top.model_file_wanted.connect(self._pick_model_file)
        self._top.settings_wanted.connect(self.show_settings)
        self._top.help_wanted.connect(self.show_help)
        theme.changes().changed.connect(self._wear)
        self._settings.changed.connect(self._on_settings)
        self._settings.save_failed.connect(lambda text: self.messages.notify(text, Level.WARNING))
        self._theme = self._settings.current.window.theme
        hints = self._app.styleHints()
        if hints is not None:
            hints.colorSchemeChanged.connect(self._on_system_theme)

    def _restore_place(self) -> None:
        self.resize(*_SIZE)
        place = self._settings.current.window.geometry
        if place:
            self.restoreGeometry(QByteArray(b64decode(place.encode("ascii", "ignore"))))

    def _wear(self, look: Theme) -> None:
        self.setStyleSheet(style_sheet(look))

    def _on_status(self, title: str, status: Status) -> None:
        self._status[title] = status
        if title == self._front:
            self._status_line.show_status(status)
            self._top.show_backend(status.backend)

    def _on_settings(self, settings: Settings) -> None:
        if settings.window.theme != self._theme:
            self._theme = settings.window.theme
            apply_theme(self._app, self._theme)

    def _on_system_theme(self, _scheme: Qt.ColorScheme) -> None:
        if self._theme == "system" and self.isVisible():  # not after it was closed
            apply_theme(self._app, "system")

    def _pick_model_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Model file", "", "Fewmark models (*.safetensors)")
        if path:
            self._choose_model(path)

    def _choose_model(self, model: str) -> None:
        try:
            self.services.models.choose_model(model)
        except FewmarkError as error:
            self.messages.notify(str(error), Level.ERROR)

    def show_settings(self) -> None:
        """Opens the settings, or brings them to the front."""

        def make() -> QDialog:
            panel = SettingsPanel(self._settings, self)
            panel.reset_wanted.connect(self._reset_settings)
            return panel

        self._show_dialog("settings", make)

    def show_help(self) -> None:
        """Opens the list of keys, or brings it to the front."""
        groups: Mapping[str, Sequence[Shortcut]] = {
            **{title: page.shortcuts() for title, page in self.workspaces.items()},
            "Everywhere": self._global_shortcuts(),
        }
        self._show_dialog("help", lambda: HelpPage(groups, self))

    def _show_dialog(self, name: str, make: Callable[[], QDialog]) -> None:
        if name not in self._dialogs:
            self._dialogs[name] = make()
        dialog = self._dialogs[name]
        dialog.show()
        dialog.raise_()
        dialog.activateWindow()

    def _reset_settings(self) -> None:
        before = self._settings.current
        self._settings.reset()
        undo = Action("Undo", lambda: self._settings.restore(before))
        self.messages.notify("All settings are back to their defaults.", Level.INFO, undo)

    def _toggle_full_screen(self) -> None:
        self.setWindowState(self.windowState() ^ Qt.WindowState.WindowFullScreen)

    def _leave_full_screen(self) -> None:
        self.setWindowState(self.windowState() & ~Qt.WindowState.WindowFullScreen)

    def _global_shortcuts(self) -> list[Shortcut]:
        tabs = [
            Shortcut(f"Ctrl+{number}", f"Show {title}", partial(self.show_workspace, title))
            for number, title in enumerate(self.workspaces, start=1)
        ]
        quit_key = QKeySequence(QKeySequence.StandardKey.Quit).toString() or "Ctrl+Q"
        return [
            *tabs,
            Shortcut("Ctrl+,", "Open the settings", self.show_settings),
            Shortcut("?", "Show this page", self.show_help),
            Shortcut("F1", "", self.show_help),
            Shortcut("F11", "Full screen, and back", self._toggle_full_screen),
            Shortcut("Esc", "Leave full screen", self._leave_full_screen),
            Shortcut(quit_key, "Close Fewmark", self.close),
        ]


def _dropped_paths(event: QDropEvent) -> list[str]:
    """The local files and folders that are being dropped."""
    data = event.mimeData()
    if data is None:
        return []
    return [str(Path(url.toLocalFile())) for url in data.urls() if url.isLocalFile()]
