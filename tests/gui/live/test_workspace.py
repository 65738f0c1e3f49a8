"""The live workspace as a user has it: real window, real tracker, the shipped clip as the camera."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PyQt6.QtCore import QPoint, QPointF, Qt
from PyQt6.QtWidgets import QPushButton, QWidget
from pytestqt.qtbot import QtBot
from window_steps import PATIENCE_MS, Messages, control, no_tracker, texts_in

from gui.live import LiveWorkspace
from gui.services import Level, Services
from gui.workspace import Status
from models.registry import DEFAULT_MODEL
from tracker.sources import open_source


def overlays_of(services: Services) -> tuple[str, ...]:
    return services.settings.current.live.overlays


def has_face(live: LiveWorkspace) -> bool:
    return live.picture is not None and bool(live.picture.tracked.result.faces)


def has_reconstruction(live: LiveWorkspace) -> bool:
    faces = live.picture.tracked.result.faces if live.picture is not None else ()
    return any(face.reconstruction is not None for face in faces)


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


def test_the_model_is_there_before_the_video_starts(
    open_live: Callable[..., LiveWorkspace], qtbot: QtBot, services: Services
) -> None:
    services.settings.update("live", camera="demo", start_at_once=False)
    services.settings.update("tracking", backend="eager")
    live = open_live()
    qtbot.waitUntil(lambda: "The model is being loaded." in texts_in(live.faces), timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: "The video is stopped." in texts_in(live.faces), timeout=PATIENCE_MS)
    assert live.bridge.session.tracker is not None
    assert live.picture is None


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
