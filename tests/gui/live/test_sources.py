"""Where the live workspace gets its video from: cameras, files, addresses, and none of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain, repeat

import cv2
import numpy as np
import pytest
from PyQt6.QtCore import Qt
from pytestqt.qtbot import QtBot
from window_steps import PATIENCE_MS, Messages, control, no_tracker, texts_in

from gui.live import LiveWorkspace
from gui.live.requests import source_choices
from gui.services import Services
from models.errors import FewmarkError
from tracker.files.assets import demo_clip
from tracker.live import PacedSource, SourceRequest
from tracker.sources import CameraInfo, FrameSource, open_source
from tracker.sources.base import SingleUseSource
from tracker.types import Frame, SourceInfo

BRIO = CameraInfo("Logitech BRIO", "046d:085e", 0, cv2.CAP_V4L2)
C920 = CameraInfo("Logitech C920", "046d:082d", 2, cv2.CAP_V4L2)


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


def test_cameras_alike_are_told_apart() -> None:
    twins = [BRIO, replace(BRIO, index=4), C920]
    assert source_choices(twins, ["films/a.mp4"]) == {
        "camera:0": "Logitech BRIO (0)",
        "camera:4": "Logitech BRIO (4)",
        "camera:046d:082d": "Logitech C920",
        "films/a.mp4": "a.mp4",
        "demo": "Demo clip",
    }
