"""The live workspace as a user has it: real window, real tracker, the shipped clip as the camera."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PyQt6.QtCore import QPoint, QPointF, Qt
from PyQt6.QtWidgets import QLabel, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from gui.live import LiveWorkspace
from gui.live.requests import source_choices
from gui.services import Action, Level, Services
from gui.tracker_bridge import Doorbell, LiveBridge
from gui.workspace import Status
from models.checkpoint import FaceModel, save_model
from models.crop_rule import CropRule
from models.errors import FewmarkError
from models.face_network import FaceNetwork, FaceNetworkConfig
from models.landmark_schemes import IBUG_68
from models.registry import DEFAULT_MODEL
from tracker.assets import demo_clip
from tracker.config import TrackerConfig
from tracker.live import PacedSource, SourceRequest
from tracker.pipeline import FaceTracker
from tracker.sources import CameraInfo, FrameSource, open_source
from tracker.sources.base import SingleUseSource
from tracker.types import Frame, SourceInfo

PATIENCE_MS = 180_000  # a busy machine is no failure
BRIO = CameraInfo("Logitech BRIO", "046d:085e", 0, cv2.CAP_V4L2)
C920 = CameraInfo("Logitech C920", "046d:082d", 2, cv2.CAP_V4L2)

Messages = list[tuple[str, Level, Action | None]]


def no_tracker(_config: TrackerConfig) -> FaceTracker:
    raise FewmarkError("no model here; install one")


class GreyCamera(SingleUseSource):
    """Grey pictures at 50 frames/s; after ``count`` of them it is gone."""

    def __init__(self, level: int, count: int | None = None) -> None:
        super().__init__("grey")
        self.level, self.count = level, count
        self.info = SourceInfo("grey", 64, 48, 50.0, None, is_live=True)

    def _iterate(self) -> Iterator[Frame]:
        image = np.full((48, 64, 3), self.level, np.uint8)
        index = 0
        while self.count is None or index < self.count:
            time.sleep(0.02)
            yield Frame(image, index, time.perf_counter())
            index += 1
        raise FewmarkError("camera grey: no frame for 3 s; check its cable")


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
        live.shutdown()
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


def overlays_of(services: Services) -> tuple[str, ...]:
    return services.settings.current.live.overlays


def has_face(live: LiveWorkspace) -> bool:
    return live.picture is not None and bool(live.picture.tracked.result.faces)


def has_reconstruction(live: LiveWorkspace) -> bool:
    faces = live.picture.tracked.result.faces if live.picture is not None else ()
    return any(face.reconstruction is not None for face in faces)


def control(parent: QWidget, text: str) -> QPushButton:
    """The button or chip of that name."""
    (found,) = (b for b in parent.findChildren(QPushButton) if b.text() == text)
    return found


def texts_in(widget: QWidget) -> list[str]:
    """What a widget says to its reader."""
    return [label.text() for label in widget.findChildren(QLabel) if label.isVisible()]


def test_without_a_camera_the_demo_clip_plays_and_a_sentence_says_why(
    open_live: Callable[..., LiveWorkspace], qtbot: QtBot, messages: Messages
) -> None:
    live = open_live(make_tracker=no_tracker)
    qtbot.waitUntil(lambda: live.canvas.image is not None, timeout=PATIENCE_MS)
    assert live.canvas.image is not None
    assert live.canvas.image.shape == (720, 1280, 3)
    assert any("No camera was found, so the demo clip plays" in text for text, _, _ in messages)
    qtbot.waitUntil(lambda: any("no model here" in text for text, _, _ in messages), timeout=PATIENCE_MS)
    assert live.canvas.message == ""
    qtbot.waitUntil(lambda: "No model is loaded." in texts_in(live.faces), timeout=PATIENCE_MS)


def test_from_start_to_a_recording_that_opens_again(
    open_live: Callable[..., LiveWorkspace], qtbot: QtBot, services: Services, messages: Messages, tmp_path: Path
) -> None:
    services.settings.update("recording", folder=tmp_path / "recordings")
    services.settings.update("live", camera="demo", mirror=False, overlays=("points",))
    statuses: list[Status] = []
    live = open_live()
    live.status_changed.connect(statuses.append)
    qtbot.waitUntil(lambda: has_face(live), timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: any(text.startswith("Face ") for text in texts_in(live.faces)), timeout=PATIENCE_MS)

    # Overlays are switched by chip, by key and by a click on a landmark.
    qtbot.mouseClick(control(live, "Lines"), Qt.MouseButton.LeftButton)
    assert overlays_of(services) == ("points", "contours")
    next(shortcut for shortcut in live.shortcuts() if shortcut.key == "1").handler()
    assert overlays_of(services) == ("contours",)
    click_landmark(live, qtbot, 30)
    assert services.settings.current.live.heatmap_landmark == 30
    qtbot.waitUntil(lambda: live.picture is not None and heatmap_peaks_at(live, 30), timeout=PATIENCE_MS)

    qtbot.mouseClick(control(live, "Record"), Qt.MouseButton.LeftButton)
    assert live.bridge.session.is_recording
    qtbot.waitUntil(lambda: live.bridge.session.statistics().recorded_frames >= 3, timeout=PATIENCE_MS)
    live.toggle_recording()
    qtbot.waitUntil(lambda: any(level is Level.SUCCESS for _, level, _ in messages), timeout=PATIENCE_MS)
    text, _, action = next(message for message in messages if message[1] is Level.SUCCESS)
    assert text.startswith("Recorded ")
    assert action is not None
    assert action.text == "Show in folder"
    check_recording(tmp_path / "recordings", int(text.split()[1]))

    live.bridge.session.stop()
    running = [status for status in statuses if status.model]
    assert running
    assert running[-1].model == DEFAULT_MODEL
    assert any(status.shown_rate for status in running)
    assert any(status.latency_ms and status.latency_ms > 0 for status in running)
    assert all(status.replaced is None or status.replaced >= 0 for status in running)


def click_landmark(live: LiveWorkspace, qtbot: QtBot, index: int) -> None:
    """Stops the video and clicks on a landmark of the picture that stands."""
    live.source.pause()
    qtbot.wait(300)
    assert live.picture is not None
    x, y = live.picture.tracked.result.faces[0].points[index]
    scale = min(live.canvas.width() / 1280, live.canvas.height() / 720)
    corner = QPointF(live.canvas.width() - 1280 * scale, live.canvas.height() - 720 * scale) / 2
    at = corner + QPointF(x + 0.5, y + 0.5) * scale
    qtbot.mouseClick(live.canvas, Qt.MouseButton.LeftButton, pos=QPoint(round(at.x()), round(at.y())))
    live.source.resume()


def heatmap_peaks_at(live: LiveWorkspace, index: int) -> bool:
    """Whether the heatmap of the newest picture is that of one landmark."""
    assert live.picture is not None
    for face in live.picture.tracked.result.faces:
        if face.heatmap is not None and (face.heatmap > 0.2).mean() < 0.02:
            v, u = np.unravel_index(int(face.heatmap.argmax()), face.heatmap.shape)
            crop = (np.array([u, v]) + 0.5) * face.crop_size / face.heatmap.shape[0] - 0.5
            peak = face.frame_from_crop @ (*crop, 1)
            return bool(np.linalg.norm(peak - face.points[index]) < 0.1 * face.box.width)
    return False


def check_recording(folder: Path, count: int) -> None:
    """Both videos and the table hold the same frames at the same times."""
    (clean,) = folder.glob("fewmark_*[0-9].mp4")
    with open_source(clean) as source:
        times = [frame.time_s for frame in source]
    with open_source(clean.with_suffix(".annotated.mp4")) as source:
        drawn = [frame.time_s for frame in source]
    with clean.with_suffix(".csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(times) == len(drawn) == count
    assert drawn == pytest.approx(times, abs=1e-4)
    stamps = {int(row["frame"]): float(row["timestamp"]) for row in rows}
    assert [stamps[i + 1] for i in range(count)] == pytest.approx(times, abs=1e-4)
    assert times[0] == 0
    assert (np.diff(times) > 0).all()


def test_reconstructions_can_be_switched_on_where_the_model_has_them(
    open_live: Callable[..., LiveWorkspace], qtbot: QtBot, services: Services, noise_models: tuple[Path, Path]
) -> None:
    plain, noise = noise_models
    services.settings.update("live", camera="demo", overlays=("points",))
    services.settings.update("tracking", min_confidence=0.0, model=str(plain))
    live = open_live()
    qtbot.waitUntil(lambda: live.bridge.session.tracker is not None, timeout=PATIENCE_MS)
    chip = control(live, "Reconstruction")
    qtbot.waitUntil(lambda: "was not trained to reconstruct" in chip.toolTip(), timeout=PATIENCE_MS)
    assert not chip.isEnabled()
    live.overlays.toggle_reconstruction()  # nor by key
    assert overlays_of(services) == ("points",)

    services.models.choose_model(str(noise))
    qtbot.waitUntil(chip.isEnabled, timeout=PATIENCE_MS)
    # The list shows what the network makes of a face, whatever is drawn.
    qtbot.waitUntil(lambda: any(text.startswith("error ") for text in texts_in(live.faces)), timeout=PATIENCE_MS)
    assert not has_reconstruction(live)
    qtbot.mouseClick(chip, Qt.MouseButton.LeftButton)
    assert overlays_of(services) == ("points", "reconstruction")
    qtbot.waitUntil(lambda: has_reconstruction(live), timeout=PATIENCE_MS)
    live.overlays._place.chosen.emit("reconstruction_beside")
    qtbot.waitUntil(lambda: live.canvas.image is not None and live.canvas.image.shape[1] == 2560, timeout=PATIENCE_MS)
    next(shortcut for shortcut in live.shortcuts() if shortcut.key == "E").handler()
    assert services.settings.current.live.error_map


def test_a_camera_that_is_plugged_in_is_offered_and_remembered(
    open_live: Callable[..., LiveWorkspace],
    qtbot: QtBot,
    services: Services,
    messages: Messages,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tracker.live.cameras.POLL_S", 0.05)
    connected: list[CameraInfo] = []
    asked: list[SourceRequest] = []

    def open_it(request: SourceRequest) -> FrameSource:
        asked.append(request)
        return GreyCamera(90) if request.spec.startswith("camera:") else PacedSource(partial(open_source, demo_clip()))

    live = open_live(find_cameras=lambda: list(connected), open_source=open_it, make_tracker=no_tracker)
    live.bridge.ignore_cameras()
    live.bridge.watch_cameras()
    qtbot.waitUntil(lambda: live.canvas.image is not None, timeout=PATIENCE_MS)
    connected.append(BRIO)
    qtbot.waitUntil(lambda: any("Logitech BRIO is connected" in m[0] for m in messages), timeout=PATIENCE_MS)
    action = next(m[2] for m in messages if "Logitech BRIO is connected" in m[0])
    assert action is not None
    action.run()
    qtbot.waitUntil(
        lambda: live.canvas.image is not None and live.canvas.image.shape == (48, 64, 3), timeout=PATIENCE_MS
    )
    assert services.settings.current.live.camera == "camera:046d:085e"
    assert (asked[-1].width, asked[-1].height, asked[-1].frame_rate) == (1280, 720, 30.0)
    # Another size is asked for at once.
    live.source_panel.size_wanted.emit(640, 480)
    qtbot.waitUntil(lambda: (asked[-1].width, asked[-1].height) == (640, 480), timeout=PATIENCE_MS)


def test_a_camera_that_is_lost_says_so_on_the_canvas_until_it_is_back(
    open_live: Callable[..., LiveWorkspace], qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracker.live.capture.RETRY_S", 0.5)
    following = chain([GreyCamera(10, count=5)], (GreyCamera(200) for _ in repeat(None)))
    live = open_live([BRIO], open_source=lambda _request: next(following), make_tracker=no_tracker)
    qtbot.waitUntil(lambda: "no frame for 3 s" in live.canvas.message, timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: live.canvas.image is not None and live.canvas.image[0, 0, 0] == 200, timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: live.canvas.message == "", timeout=PATIENCE_MS)


def test_the_first_camera_is_taken_and_a_missing_one_is_told(
    open_live: Callable[..., LiveWorkspace], qtbot: QtBot, services: Services, messages: Messages
) -> None:
    services.settings.update("live", camera="camera:dead:beef")
    opened: list[str] = []

    def open_it(request: SourceRequest) -> FrameSource:
        opened.append(request.spec)
        return GreyCamera(50)

    live = open_live([BRIO, C920], open_source=open_it, make_tracker=no_tracker)
    qtbot.waitUntil(lambda: live.canvas.image is not None, timeout=PATIENCE_MS)
    assert opened == ["camera:046d:085e"]
    assert any("The camera of last time is not connected, so Logitech BRIO is shown" in m[0] for m in messages)
    assert services.settings.current.live.camera == "camera:dead:beef"  # it may come back


def test_stop_and_start(open_live: Callable[..., LiveWorkspace], qtbot: QtBot, services: Services) -> None:
    services.settings.update("live", camera="demo", start_at_once=False)
    live = open_live(make_tracker=no_tracker)
    assert live.canvas.message == "The video is stopped."
    qtbot.mouseClick(control(live.controls, "Start"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: live.canvas.image is not None and live.canvas.message == "", timeout=PATIENCE_MS)
    qtbot.mouseClick(control(live.controls, "Stop"), Qt.MouseButton.LeftButton)
    assert not live.bridge.session.is_capturing
    assert live.canvas.message == "The video is stopped."


def test_it_pauses_while_another_workspace_is_shown(
    open_live: Callable[..., LiveWorkspace], qtbot: QtBot, services: Services
) -> None:
    services.settings.update("live", camera="demo")
    live = open_live(make_tracker=no_tracker)
    qtbot.waitUntil(lambda: live.canvas.image is not None, timeout=PATIENCE_MS)
    live.deactivate()
    assert not live.bridge.session.is_capturing
    live.activate()
    assert live.bridge.session.is_capturing


def test_files_and_addresses_of_the_command_line_are_shown(
    open_live: Callable[..., LiveWorkspace], qtbot: QtBot, services: Services
) -> None:
    opened: list[str] = []

    def open_it(request: SourceRequest) -> FrameSource:
        opened.append(request.spec)
        return GreyCamera(50)

    live = open_live(open_source=open_it, make_tracker=no_tracker)
    live.open_inputs(["rtsp://somewhere/stream"])
    qtbot.waitUntil(lambda: opened[-1:] == ["rtsp://somewhere/stream"], timeout=PATIENCE_MS)
    assert services.settings.current.live.camera == ""  # not remembered as a camera


def test_a_snapshot_is_saved_as_it_is_shown(
    open_live: Callable[..., LiveWorkspace], qtbot: QtBot, services: Services, messages: Messages, tmp_path: Path
) -> None:
    services.settings.update("recording", folder=tmp_path)
    services.settings.update("live", camera="demo")
    live = open_live(make_tracker=no_tracker)
    live.save_snapshot()
    assert any("There is no picture yet" in m[0] for m in messages)
    qtbot.waitUntil(lambda: live.picture is not None, timeout=PATIENCE_MS)
    live.source.stop()
    qtbot.wait(300)
    assert live.picture is not None
    live.save_snapshot()
    qtbot.waitUntil(lambda: bool(list(tmp_path.glob("*.png"))), timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: any(m[1] is Level.SUCCESS for m in messages), timeout=PATIENCE_MS)
    (path,) = tmp_path.glob("*.png")
    stored = cv2.imread(str(path))
    assert stored is not None
    assert (stored[:, :, ::-1] == live.picture.image).all()


def test_a_bad_model_offers_the_shipped_one(
    open_live: Callable[..., LiveWorkspace], qtbot: QtBot, services: Services, messages: Messages, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no model")
    services.settings.update("live", camera="demo")
    services.models.choose_model(str(broken))
    live = open_live()
    qtbot.waitUntil(lambda: any(m[1] is Level.ERROR for m in messages), timeout=PATIENCE_MS)
    text, _, action = next(m for m in messages if m[1] is Level.ERROR)
    assert "not a readable model file" in text
    assert action is not None
    assert action.text == f"Use {DEFAULT_MODEL}, engine automatic"
    action.run()
    assert services.models.model == DEFAULT_MODEL
    qtbot.waitUntil(lambda: live.bridge.session.tracker is not None, timeout=PATIENCE_MS)


def test_cameras_alike_are_told_apart() -> None:
    twins = [BRIO, replace(BRIO, index=4), C920]
    assert source_choices(twins, ["films/a.mp4"]) == {
        "camera:0": "Logitech BRIO (0)",
        "camera:4": "Logitech BRIO (4)",
        "camera:046d:082d": "Logitech C920",
        "films/a.mp4": "a.mp4",
        "demo": "Demo clip",
    }


def test_every_control_can_be_reached_by_key(open_live: Callable[..., LiveWorkspace], services: Services) -> None:
    services.settings.update("live", camera="demo", start_at_once=False)
    live = open_live(make_tracker=no_tracker)
    reached: set[QWidget] = set()
    widget: QWidget | None = live.canvas
    while widget is not None and widget not in reached:
        reached.add(widget)
        widget = widget.nextInFocusChain()
    buttons = [button for button in live.findChildren(QPushButton) if button.isVisible()]
    assert len(buttons) > 10
    for button in buttons:
        assert button in reached
        assert button.focusPolicy() & Qt.FocusPolicy.TabFocus


def test_a_doorbell_rings_once_however_often_it_is_rung(qtbot: QtBot) -> None:
    from threading import Thread

    bell = Doorbell()
    heard: list[int] = []
    bell.rung.connect(lambda: heard.append(1))

    def ring_often() -> None:
        for _ in range(100):
            bell.ring()

    ringer = Thread(target=ring_often)
    ringer.start()
    ringer.join()
    assert heard == []
    qtbot.waitUntil(lambda: heard == [1], timeout=PATIENCE_MS)
    qtbot.wait(20)
    assert heard == [1]
    bell.ring()
    qtbot.waitUntil(lambda: heard == [1, 1], timeout=PATIENCE_MS)
