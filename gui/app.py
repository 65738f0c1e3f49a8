"""The application: builds everything and passes it in. There is no global instance."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, NoReturn

from PyQt6.QtCore import Qt, QTimer
from PyQt6.QtGui import QColor, QGuiApplication, QPainter, QPixmap
from PyQt6.QtWidgets import QApplication, QSplashScreen

from gui import qt_environment
from tracker.machine.loading import loading

if TYPE_CHECKING:
    from gui.services import Notify

_APPLICATION_ID = "fewmark"
_PYTHON_TURN_MS = 200  # how long Ctrl-C waits at most
_SPLASH = (360, 200)  # px
_ENDED_BY_SIGNAL = 128  # exit code less the signal's number, as shells have it: 130 after Ctrl-C


def run_window(workspace: str = "", inputs: Sequence[str] = (), model: str | None = None) -> int:
    """Opens the window and returns when it is closed.

    Args:
        workspace: title of the one to show; empty: the one that was shown last.
        inputs: what it is to open: files, folders, cameras or addresses.
        model: a name of ``MODELS`` or the path of a model file; None: the one that was chosen last.

    Returns:
        The exit code: 0, or 130 after Ctrl-C in the terminal, which completes a recording first.

    Qt ends the process where it can't open a window: ``qt_environment.check_display`` finds out before.
    """
    qt_environment.prepare()
    app = make_application(sys.argv[:1])
    splash = _show_splash(app)

    with loading():  # after the splash is up: torch takes seconds to load
        from gui.live import LiveWorkspace
        from gui.look.theme import apply_theme
        from gui.settings.settings_store import SettingsStore
        from gui.shell.main_window import MainWindow
        from gui.video import VideoWorkspace

    settings = SettingsStore()
    if model is not None:
        settings.update("tracking", model=model)
    apply_theme(app, settings.current.window.theme)
    window = MainWindow(app, settings, (LiveWorkspace, VideoWorkspace))
    tell_faults(window.messages.notify)
    window.show()
    splash.finish(window)
    window.open(workspace, inputs)

    received = 0

    def close(number: int, _frame: FrameType | None) -> None:
        nonlocal received
        received = number
        window.close()

    previous = {number: signal.signal(number, close) for number in (signal.SIGINT, signal.SIGTERM)}
    turn = QTimer()
    turn.timeout.connect(lambda: None)  # Python handles signals only while it runs
    turn.start(_PYTHON_TURN_MS)
    try:
        code = app.exec()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    code = _ENDED_BY_SIGNAL + received if received else code
    if not window.has_ended or any(thread.daemon for thread in threading.enumerate()):
        end_process(code)
    return code


def end_process(code: int) -> NoReturn:
    """Ends the process past a thread that is still inside a library: Python's own end would abort in its C++ code.

    Processes that it started, such as those that build engines, end with it.
    """
    for child in multiprocessing.active_children():
        child.terminate()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def make_application(arguments: Sequence[str]) -> QApplication:
    """Qt's application object, named so that the desktop knows its windows."""
    if sys.platform == "win32":
        import ctypes

        # Else the task bar shows Python's icon.
        ctypes.windll.shell32.SetCurrentProcessExplicitAppUserModelID(_APPLICATION_ID)
    app = QApplication(list(arguments))
    app.setApplicationName(_APPLICATION_ID)
    app.setApplicationDisplayName("Fewmark")
    app.setDesktopFileName(_APPLICATION_ID)
    return app


def _show_splash(app: QApplication) -> QSplashScreen:
    """Something to see while the network's libraries load."""
    from gui.look.icon_set import application_icon

    ratio = app.devicePixelRatio()
    picture = QPixmap(round(_SPLASH[0] * ratio), round(_SPLASH[1] * ratio))
    picture.setDevicePixelRatio(ratio)
    picture.fill(QColor("#12302f"))
    painter = QPainter(picture)
    side = 96
    application_icon().paint(painter, (_SPLASH[0] - side) // 2, 28, side, side)
    painter.setPen(QColor("#e6e8eb"))
    painter.drawText(0, 140, _SPLASH[0], 30, Qt.AlignmentFlag.AlignCenter, "Fewmark is starting ...")
    painter.end()
    splash = QSplashScreen(picture)
    splash.show()
    app.processEvents()
    return splash


def tell_faults(notify: Notify) -> None:
    """A fault of the program in the GUI thread is told in the window, which lives on; Qt would end the process."""
    from gui.services import Action, Level

    def tell(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
        text = "".join(traceback.format_exception(kind, error, where))
        sys.stderr.write(text)
        clipboard = QGuiApplication.clipboard()
        copy = Action("Copy details", lambda: clipboard.setText(text)) if clipboard else None
        notify(
            f"A fault in Fewmark itself: {kind.__name__}: {error}. It goes on running; please report the details.",
            Level.ERROR,
            copy,
        )

    sys.excepthook = tell
