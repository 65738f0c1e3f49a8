"""Closing the window while something is being loaded that can't be interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from threading import enumerate as all_threads

import psutil
import pytest
from PyQt6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from gui.live import LiveWorkspace
from gui.look.theme import apply_theme
from gui.settings.settings_store import SettingsStore
from gui.shell.main_window import MainWindow
from gui.video import VideoWorkspace
from models.files.model_file import FaceModel
from models.registry import DEFAULT_MODEL, MODELS
from tracker.backends.eager import EagerBackend
from tracker.backends.ladder import BACKENDS
from tracker.files.assets import demo_clip

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_MS = 180_000  # a busy machine is no failure
END_S = 2.0


class Gate:
    """A backend's opening that waits, as a compiler would, until it is let through."""

    def __init__(self) -> None:
        self.waiting = 0
        self.opened: list[str] = []  # names of models
        self._free = Event()

    def __call__(self, model: FaceModel, **options: str) -> EagerBackend:
        self.waiting += 1
        assert self._free.wait(PATIENCE_MS / 1000)
        self.waiting -= 1
        self.opened.append(model.name)
        return EagerBackend(model, **options)

    def open(self) -> None:
        self._free.set()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Stands before the backend eager."""
    made = Gate()
    monkeypatch.setitem(BACKENDS, "eager", made)
    yield made
    made.open()


@pytest.fixture
def window(qtbot: QtBot, qapp: QApplication, tmp_path: Path) -> MainWindow:
    apply_theme(qapp, "dark")
    settings = SettingsStore(tmp_path / "settings.toml")
    settings.update("tracking", backend="eager")
    settings.update("video", results_folder=tmp_path / "results", process_at_once=True)
    made = MainWindow(qapp, settings, (LiveWorkspace, VideoWorkspace))
    qtbot.addWidget(made)
    made.show()
    return made


def closing_s(window: MainWindow) -> float:
    """How long closing takes."""
    before = time.perf_counter()
    window.close()
    return time.perf_counter() - before


def test_closing_waits_two_seconds_at_most_for_all_that_is_being_loaded(
    window: MainWindow, qtbot: QtBot, gate: Gate
) -> None:
    window.open("Live", [str(demo_clip())])
    window.open("Video", [str(demo_clip())])  # which is processed at once: another tracker
    qtbot.waitUntil(lambda: gate.waiting == 2, timeout=PATIENCE_MS)
    assert closing_s(window) < 2 * END_S  # both workspaces end together, not one after the other
    assert not window.isVisible()
    assert not window.has_ended
    gate.open()  # what was being loaded is closed as soon as it is there
    qtbot.waitUntil(lambda: len(gate.opened) == 2, timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: not {t.name for t in all_threads()} & {"tracking", "background tasks"}, timeout=PATIENCE_MS)


def test_closing_waits_for_nothing_where_nothing_is_loaded(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    films = [tmp_path / f"{i}.mp4" for i in range(6)]
    for film in films:
        film.write_bytes(demo_clip().read_bytes())
    window.services.settings.update("video", process_at_once=False)
    window.open("Video", [str(film) for film in films])  # earlier results are looked for, one file after the other
    assert closing_s(window) < END_S
    assert window.has_ended


def test_of_three_models_in_a_row_only_the_last_is_loaded(window: MainWindow, qtbot: QtBot, gate: Gate) -> None:
    live = window.workspaces["Live"]
    assert isinstance(live, LiveWorkspace)
    window.open("Live", [str(demo_clip())])
    qtbot.waitUntil(lambda: gate.waiting == 1, timeout=PATIENCE_MS)
    other = next(name for name in MODELS if name != DEFAULT_MODEL)
    chosen = [other, DEFAULT_MODEL, other]
    for model in chosen:
        window.services.models.choose_model(model)
        qtbot.wait(20)
    session = live.bridge.session
    assert session.tracker is None
    gate.open()
    qtbot.waitUntil(lambda: session.tracker is not None, timeout=PATIENCE_MS)
    assert gate.opened == [DEFAULT_MODEL, chosen[-1]]
    assert session.tracker is not None
    assert session.tracker.model == chosen[-1]
    qtbot.waitUntil(lambda: not session.is_loading, timeout=PATIENCE_MS)
    assert closing_s(window) < END_S
    assert window.has_ended


SCRIPT = """
import multiprocessing, sys, time

def main():
    import torch
    from gui import app
    from tracker.backends.ladder import BACKENDS

    def opens_slowly(model, **options):
        child = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(300,), daemon=True)
        child.start()  # as one that builds an engine
        print(child.pid, flush=True)
        while True:
            torch.randn(400, 400) @ torch.randn(400, 400)

    BACKENDS["eager"] = opens_slowly
    sys.exit(app.run_window("Live", [sys.argv[1]]))

if __name__ == "__main__":
    main()
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for a single other process")
def test_the_program_ends_in_time_with_its_children_while_a_library_computes(tmp_path: Path) -> None:
    script = tmp_path / "slow.py"
    script.write_text(SCRIPT)
    settings = tmp_path / "fewmark" / "settings.toml"
    settings.parent.mkdir()
    settings.write_text('[tracking]\nbackend = "eager"\n')
    environment = os.environ | {
        "QT_QPA_PLATFORM": "offscreen",
        "PYTHONPATH": str(ROOT),
        "XDG_CONFIG_HOME": str(tmp_path),
        "HOME": str(tmp_path),
    }
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, script, demo_clip()], cwd=tmp_path, env=environment, **pipes) as running:
        assert running.stdout is not None
        child = psutil.Process(int(running.stdout.readline()))
        before = time.monotonic()
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=60)
    assert time.monotonic() - before < END_S + 3.0  # and what the system takes to end a process
    assert (running.returncode, errors) == (128 + signal.SIGINT, "")
    _, alive = psutil.wait_procs([child], 10)
    assert all(process.status() == psutil.STATUS_ZOMBIE for process in alive)
