"""The video workspace with real files, a real model, and its real threads."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QAbstractButton, QAbstractSlider, QComboBox, QListWidget, QScrollBar, QWidget
from pytestqt.qtbot import QtBot
from window_steps import MakeWorkspace, Messages, entry_of, processed, shown_index, wait_until

from gui.plots.timeline import Timeline
from gui.services import Services
from gui.widgets import IconButton
from tracker.batch import Job, OutputChoice, run_job
from tracker.following.pipeline import FaceTracker
from tracker.sources import open_source
from tracker.types import ImageArray

FRAMES = 20  # of the film


def test_an_empty_workspace_says_what_to_do(open_workspace: MakeWorkspace) -> None:
    workspace = open_workspace()
    assert "Drop videos" in workspace.stage.canvas.message
    for shortcut in workspace.shortcuts():
        if shortcut.key != "Ctrl+O":  # that one opens a dialog
            shortcut.handler()
    assert workspace.stage.picture is None
    assert not any(
        button.isEnabled() for button in workspace.stage.transport.findChildren(IconButton) if not button.isCheckable()
    )


def test_a_video_is_opened_played_and_stepped_through(open_workspace: MakeWorkspace, qtbot: QtBot, film: Path) -> None:
    workspace = open_workspace()
    workspace.open_inputs([str(film)])
    wait_until(qtbot, lambda: shown_index(workspace) == 0)
    stage = workspace.stage
    assert stage.canvas.message == ""
    assert all(button.isEnabled() for button in stage.transport.findChildren(IconButton))
    with open_source(film) as source:
        np.testing.assert_array_equal(stage.canvas.image, next(iter(source)).image)
    wait_until(qtbot, lambda: not entry_of(workspace).loading)
    assert entry_of(workspace).loaded is None
    stage.step(1)
    wait_until(qtbot, lambda: shown_index(workspace) == 1)
    stage.seek(1.23)
    wait_until(qtbot, lambda: shown_index(workspace) == 12)
    stage.toggle_playing()
    wait_until(qtbot, lambda: stage.is_playing)
    wait_until(qtbot, lambda: shown_index(workspace) == FRAMES - 1 and not stage.is_playing)
    stage.go_to_end(last=False)
    wait_until(qtbot, lambda: shown_index(workspace) == 0)


def test_results_open_by_their_own_name(
    open_workspace: MakeWorkspace, qtbot: QtBot, film: Path, tmp_path: Path, face_tracker: FaceTracker
) -> None:
    run_job(Job(str(film), "film"), face_tracker, OutputChoice(jsonl=True), tmp_path / "elsewhere")
    workspace = open_workspace()
    workspace.open_inputs([str(tmp_path / "elsewhere/film.fewmark.json")])
    wait_until(qtbot, lambda: processed(workspace))
    assert entry_of(workspace).path == film.resolve()


def test_what_can_not_be_shown_is_told_in_its_place(
    open_workspace: MakeWorkspace, qtbot: QtBot, tmp_path: Path, messages: Messages, film: Path
) -> None:
    (tmp_path / "text.mp4").write_text("no video " * 50)
    workspace = open_workspace()
    workspace.open_inputs([str(tmp_path / "gone.mp4"), str(tmp_path / "text.mp4"), "rtsp://camera/1"])
    wait_until(qtbot, lambda: entry_of(workspace).problem)
    assert "cannot be opened as a video" in workspace.stage.canvas.message
    assert any("cameras and streams" in text for text, _, _ in messages)
    assert any(text.endswith("gone.mp4: no such file or folder; check the path") for text, _, _ in messages)
    workspace._process_or_stop()
    assert not entry_of(workspace).is_being_processed
    workspace.open_inputs([str(film)])
    wait_until(qtbot, lambda: shown_index(workspace) == 0)
    assert len(workspace.library.entries) == 2
    for number in list(workspace.library.entries):
        workspace.library.remove(number)
    assert "Drop videos" in workspace.stage.canvas.message


def test_a_folder_of_images_is_a_film_and_is_processed_when_opened(
    open_workspace: MakeWorkspace, qtbot: QtBot, tmp_path: Path, services: Services, demo_images: list[ImageArray]
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i, image in enumerate(demo_images[:5]):
        cv2.imwrite(str(folder / f"{i}.png"), image[:, :, ::-1])
    services.settings.update("video", process_at_once=True, film_rate=5.0, results_folder=tmp_path / "results")
    workspace = open_workspace()
    workspace.open_inputs([str(folder)])
    wait_until(qtbot, lambda: processed(workspace))
    loaded = entry_of(workspace).loaded
    assert loaded is not None
    np.testing.assert_allclose(loaded.results.time_s, [0, 0.2, 0.4, 0.6, 0.8])
    assert loaded.run.sidecar == tmp_path / "results/pictures.fewmark.json"


def test_every_control_can_be_reached_by_key(open_workspace: MakeWorkspace, qtbot: QtBot, film: Path) -> None:
    workspace = open_workspace()
    workspace.open_inputs([str(film)])
    wait_until(qtbot, lambda: shown_index(workspace) == 0)
    reached: set[QWidget] = set()
    widget: QWidget | None = workspace.stage.canvas
    while widget is not None and widget not in reached:
        reached.add(widget)
        widget = widget.nextInFocusChain()
    controls = (QAbstractButton, QAbstractSlider, QComboBox, QListWidget, Timeline)
    shown = [w for kind in controls for w in workspace.findChildren(kind) if w.isVisible()]
    assert len(shown) > 20
    for control in shown:
        if isinstance(control, QScrollBar):  # what it shows is scrolled to when the keyboard comes there
            continue
        assert control in reached
        assert control.focusPolicy() & Qt.FocusPolicy.TabFocus, control
