"""The whole application: both workspaces in one window, on the bundled clip."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pace import slowness
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot

from gui.live import LiveWorkspace
from gui.look import theme
from gui.look.theme import apply_theme
from gui.settings.settings_store import SettingsStore
from gui.shell.main_window import MainWindow
from gui.shell.status_line import StatusLine
from gui.video import VideoWorkspace
from tracker.files.assets import demo_clip
from tracker.sources import open_source

ROOT = Path(__file__).resolve().parents[3]
FIRST_PICTURE_MS = 300_000  # seconds, unless the machine is busy with something else


@pytest.fixture
def window(qtbot: QtBot, qapp: QApplication, tmp_path: Path) -> Iterator[MainWindow]:
    apply_theme(qapp, "dark")
    settings = SettingsStore(tmp_path / "settings.toml")
    settings.update("video", results_folder=tmp_path / "results")
    made = MainWindow(qapp, settings, (LiveWorkspace, VideoWorkspace))
    qtbot.addWidget(made)
    made.show()
    yield made
    made.close()


def _live(window: MainWindow) -> LiveWorkspace:
    live = window.workspaces["Live"]
    assert isinstance(live, LiveWorkspace)
    return live


def test_it_tracks_says_what_runs_and_ends_in_time(window: MainWindow, qtbot: QtBot) -> None:
    live = _live(window)
    window.open("Live", [str(demo_clip())])
    qtbot.waitUntil(
        lambda: live.picture is not None and len(live.picture.tracked.result.faces) == 1, timeout=FIRST_PICTURE_MS
    )
    facts = live.bridge.session.tracker
    assert facts is not None
    (line,) = window.findChildren(StatusLine)
    qtbot.waitUntil(
        lambda: any(facts.device in label.text() for label in line.findChildren(QLabel)), timeout=FIRST_PICTURE_MS
    )
    window.close()
    assert window.has_ended  # every thread, within 2 s


def test_changing_the_workspace_there_and_back_goes_on(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    live = _live(window)
    window.open("Live", [str(demo_clip())])
    qtbot.waitUntil(lambda: live.picture is not None, timeout=FIRST_PICTURE_MS)
    window.open("Video", [str(demo_clip())])
    video = window.workspaces["Video"]
    assert isinstance(video, VideoWorkspace)
    qtbot.waitUntil(lambda: video.stage.picture is not None, timeout=FIRST_PICTURE_MS)
    qtbot.keyClick(window, Qt.Key.Key_1, Qt.KeyboardModifier.ControlModifier)
    before = live.picture
    qtbot.waitUntil(lambda: live.picture is not before, timeout=FIRST_PICTURE_MS)
    qtbot.waitUntil(lambda: live.bridge.session.tracker is not None, timeout=FIRST_PICTURE_MS)


def test_a_model_file_that_is_none_is_told_and_tracking_goes_on(
    window: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    live = _live(window)
    window.open("Live", [str(demo_clip())])
    qtbot.waitUntil(lambda: live.bridge.session.tracker is not None, timeout=FIRST_PICTURE_MS)
    none = tmp_path / "none.safetensors"
    none.write_bytes(b"no tensors")
    window.services.models.choose_model(str(none))
    qtbot.waitUntil(lambda: "none.safetensors" in window.messages.text, timeout=FIRST_PICTURE_MS)
    before = live.picture
    qtbot.waitUntil(lambda: live.picture is not before, timeout=FIRST_PICTURE_MS)
    assert live.bridge.session.tracker is not None


def test_a_recording_opens_in_the_next_tab_with_its_results(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    live, video, settings = _live(window), window.workspaces["Video"], window.services.settings
    assert isinstance(video, VideoWorkspace)
    settings.update("recording", folder=tmp_path / "recordings")
    settings.update("video", results_folder=None)
    window.open("Live", [str(demo_clip())])
    qtbot.waitUntil(lambda: live.bridge.session.tracker is not None, timeout=FIRST_PICTURE_MS)
    live.toggle_recording()
    qtbot.waitUntil(lambda: live.bridge.session.statistics().recorded_frames >= 5, timeout=FIRST_PICTURE_MS)
    settings.update("live", overlays=("heatmap",))
    settings.update("tracking", max_faces=1)
    live.toggle_recording()
    qtbot.waitUntil(lambda: window.messages.text.startswith("Recorded "), timeout=FIRST_PICTURE_MS)
    count = int(window.messages.text.split()[1])
    (clean,) = (tmp_path / "recordings").glob("fewmark_*[0-9].mp4")
    with open_source(clean) as source:
        times = [frame.time_s for frame in source]
    window.open("Video", [str(clean)])
    qtbot.waitUntil(lambda: any(e.loaded for e in video.library.entries.values()), timeout=FIRST_PICTURE_MS)
    (entry,) = video.library.entries.values()
    assert entry.task is None  # nothing was computed again
    assert entry.results is not None
    assert entry.results.num_frames == len(times) == count
    assert entry.results.time_s.tolist() == pytest.approx(times, abs=1e-3)


def test_another_theme_does_not_hold_up_the_video(window: MainWindow, qtbot: QtBot, qapp: QApplication) -> None:
    live = _live(window)
    window.services.settings.update("live", start_at_once=False)
    window.open("Live")
    qtbot.waitUntil(lambda: live.bridge.session.tracker is not None, timeout=FIRST_PICTURE_MS)
    took_ms = []
    for name in ("light", "dark", "light"):
        qtbot.wait(50)
        before_s = time.thread_time()
        window.services.settings.update("window", theme=name)
        qapp.processEvents()
        took_ms.append(1000 * (time.thread_time() - before_s))
        ground = window.grab().toImage().pixelColor(window.width() // 3, 20).name()
        assert ground == theme.THEMES[name].colours.panel
    assert min(took_ms) < 100 * slowness()  # of the thread's own time


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for a single other process")
def test_the_command_opens_the_window_and_ctrl_c_closes_it(tmp_path: Path) -> None:
    environment = os.environ | {
        "QT_QPA_PLATFORM": "offscreen",
        "XDG_CONFIG_HOME": str(tmp_path),
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache"),
    }
    command = [sys.executable, "-m", "tracker", "live", str(demo_clip())]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as running:
        settings = [path / "settings.toml" for path in (tmp_path / "fewmark", tmp_path / "Library")]
        deadline = time.monotonic() + 120
        while running.poll() is None and not any(path.exists() for path in settings) and time.monotonic() < deadline:
            time.sleep(0.1)  # the window remembers which workspace is shown: then it is up
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=60)
    assert running.returncode == 130, errors
    assert "Traceback" not in errors
