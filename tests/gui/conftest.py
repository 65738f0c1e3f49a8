"""Qt without a screen, settings in a folder of the test's own, and no test that leaves something running."""

from __future__ import annotations

import os

os.environ["QT_QPA_PLATFORM"] = "offscreen"  # before Qt is imported

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import torch
from PyQt6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from gui.live import LiveWorkspace
from gui.look.theme import apply_theme
from gui.services import Action, Level, Services
from gui.settings.model_chooser import ModelChooser
from gui.settings.settings_store import SettingsStore
from gui.tracker_bridge import LiveBridge
from gui.video import VideoWorkspace
from models.crop_rule import CropRule
from models.files.model_file import FaceModel, save_model
from models.landmark_schemes import IBUG_68
from models.networks.interleaved.face_network import FaceNetwork, FaceNetworkConfig
from tracker.files.assets import demo_clip
from tracker.sources import CameraInfo, open_source
from tracker.types import ImageArray

FRAMES = 20  # of ``film``
MakeWorkspace = Callable[[], VideoWorkspace]
_END_S = 2.0  # what a closed window may take to end its threads


@pytest.fixture(scope="session")
def qapp_args() -> list[str]:
    return ["fewmark"]


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings, results and recordings of the person who runs the tests are left alone."""
    for variable in ("XDG_CONFIG_HOME", "XDG_VIDEOS_DIR", "APPDATA"):
        monkeypatch.setenv(variable, str(tmp_path / variable.lower()))
    monkeypatch.setattr("gui.settings.settings_store.settings_path", lambda: tmp_path / "settings.toml")


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


@pytest.fixture
def open_live(qtbot: QtBot, services: Services) -> Iterator[Callable[..., LiveWorkspace]]:
    """Makes workspaces whose cameras are what the test says, and shuts them down."""
    made: list[LiveWorkspace] = []

    def open_it(cameras: list[CameraInfo] | None = None, **parts: Any) -> LiveWorkspace:
        parts.setdefault("find_cameras", lambda: list(cameras or []))
        live = LiveWorkspace(services, make_bridge=partial(LiveBridge, **parts))
        made.append(live)
        live.resize(1280, 740)
        live.show()
        qtbot.waitExposed(live)
        live.activate()
        return live

    yield open_it
    for live in made:
        live.request_end()
        live.join(2.0)
        live.close()
        live.deleteLater()


@pytest.fixture(scope="module")
def noise_models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A small model that does not reconstruct, and one that claims to; their weights are random."""
    torch.manual_seed(0)
    network = FaceNetwork(FaceNetworkConfig(68, input_size=128, heatmap_size=64, width=0.25)).eval()
    folder = tmp_path_factory.mktemp("models")
    paths = folder / "plain.safetensors", folder / "noise.safetensors"
    for path, reconstructs in zip(paths, (False, True), strict=True):
        save_model(path, FaceModel(path.stem, network, IBUG_68, CropRule(), reconstructs=reconstructs))
    return paths


@pytest.fixture
def open_workspace(qtbot: QtBot, services: Services) -> Iterator[MakeWorkspace]:
    opened: list[VideoWorkspace] = []

    def make() -> VideoWorkspace:
        workspace = VideoWorkspace(services)
        workspace.resize(1200, 760)
        workspace.show()
        workspace.activate()
        opened.append(workspace)
        return workspace

    yield make
    for workspace in opened:
        workspace.request_end()
        workspace.join(2.0)
        workspace.close()


@pytest.fixture(scope="module")
def demo_images() -> list[ImageArray]:
    with open_source(demo_clip()) as source:
        return [np.asarray(cv2.resize(frame.image, (480, 270)), np.uint8) for frame in islice(source, FRAMES)]


@pytest.fixture
def film(tmp_path: Path, demo_images: list[ImageArray]) -> Path:
    """The demo clip's first frames at 480x270, ten a second."""
    path = tmp_path / "videos" / "film.mp4"
    path.parent.mkdir()
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"g": "5"})
        stream.width, stream.height, stream.pix_fmt = 480, 270, "yuv420p"
        for image in demo_images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        container.mux(stream.encode(None))
    return path
