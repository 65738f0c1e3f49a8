"""Recordings processed in the background of the video workspace."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from pace import slowness
from PyQt6.QtCore import QTimer
from PyQt6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from window_steps import MakeWorkspace, Messages, entry_of, processed, shown_index, wait_until

from gui.services import Level, Services
from gui.video import VideoWorkspace
from gui.video.wording import state_of
from models.registry import DEFAULT_MODEL, open_model
from tracker.batch.progress import TaskState
from tracker.following.pipeline import FaceTracker

FRAMES = 20  # of the film


def tracked_frames(workspace: VideoWorkspace) -> int:
    task = entry_of(workspace).task
    return 0 if task is None else task.frames


def test_processing_shows_results_which_open_again_without_the_network(
    open_workspace: MakeWorkspace,
    qtbot: QtBot,
    film: Path,
    services: Services,
    messages: Messages,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workspace = open_workspace()
    workspace.open_inputs([str(film)])
    wait_until(qtbot, lambda: shown_index(workspace) == 0 and not entry_of(workspace).loading)
    plain = workspace.stage.canvas.image
    assert plain is not None
    workspace._process_or_stop()
    assert entry_of(workspace).is_being_processed
    wait_until(qtbot, lambda: processed(workspace))
    folder = film.parent / "fewmark-results"
    assert sorted(path.name for path in folder.iterdir()) == ["film.csv", "film.fewmark.json", "film.jsonl"]
    assert any(level is Level.SUCCESS and "a face in 20 of 20 frames" in text for text, level, _ in messages)
    wait_until(qtbot, lambda: workspace.stage.picture is not None and workspace.stage.picture.result is not None)
    drawn = workspace.stage.canvas.image
    assert drawn is not None
    assert (drawn != plain).any()
    picture = workspace.stage.picture
    assert picture is not None
    assert picture.result is not None
    assert len(picture.result.faces) == 1

    def refuse(*_: object, **__: object) -> FaceTracker:
        raise AssertionError("the tracker was opened")

    monkeypatch.setattr("tracker.batch.background.open_tracker", refuse)
    again = open_workspace()
    again.open_inputs([str(film)])
    wait_until(qtbot, lambda: processed(again))
    loaded = entry_of(again).loaded
    assert loaded is not None
    assert loaded.same_settings
    assert ("not trained to reconstruct" in loaded.no_reconstructions) != open_model(DEFAULT_MODEL).reconstructs
    assert loaded.results.num_frames == FRAMES
    wait_until(qtbot, lambda: again.stage.picture is not None and again.stage.picture.result is not None)
    again.stage.go_to_doubtful(1)
    worst = loaded.moments[0]
    wait_until(qtbot, lambda: shown_index(again) == worst.index)
    services.models.choose_max_faces(1)
    wait_until(qtbot, lambda: "other settings" in state_of(entry_of(again))[0])


def test_stopping_shows_what_was_tracked_so_far(
    open_workspace: MakeWorkspace, qtbot: QtBot, shared_data: Path, tmp_path: Path, services: Services
) -> None:
    services.settings.update("video", results_folder=tmp_path / "results")
    workspace = open_workspace()
    workspace.open_inputs([str(shared_data / "videos/one_face_720p_a.mp4")])
    wait_until(qtbot, lambda: not entry_of(workspace).loading)
    workspace._process_or_stop()
    wait_until(qtbot, lambda: tracked_frames(workspace) >= 3)
    workspace._process_or_stop()
    wait_until(qtbot, lambda: not entry_of(workspace).is_being_processed)
    entry = entry_of(workspace)
    assert entry.task is not None
    assert entry.task.state is TaskState.STOPPED
    assert entry.results is not None
    assert 3 <= entry.results.num_frames < 282
    assert not (tmp_path / "results/one_face_720p_a.fewmark.json").exists()


def test_stopping_a_second_run_shows_the_first_one_again(
    open_workspace: MakeWorkspace, qtbot: QtBot, film: Path, messages: Messages
) -> None:
    workspace = open_workspace()
    workspace.open_inputs([str(film)])
    wait_until(qtbot, lambda: not entry_of(workspace).loading)
    workspace._process_or_stop()
    wait_until(qtbot, lambda: processed(workspace))
    folder = film.parent / "fewmark-results"
    before = {path: path.read_bytes() for path in folder.iterdir()}
    workspace._process_or_stop()
    wait_until(qtbot, lambda: entry_of(workspace).growing is not None)
    workspace._process_or_stop()
    wait_until(qtbot, lambda: not entry_of(workspace).is_being_processed)
    entry = entry_of(workspace)
    assert entry.task is not None
    assert entry.task.state is TaskState.STOPPED
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert entry.results is not None
    assert entry.results.num_frames == FRAMES
    assert state_of(entry)[0].startswith("processed with")
    assert any(text.endswith("; the earlier results stay.") for text, _, _ in messages)


def test_closing_while_it_processes_completes_the_files(
    open_workspace: MakeWorkspace, qtbot: QtBot, shared_data: Path, tmp_path: Path, services: Services
) -> None:
    services.settings.update("video", results_folder=tmp_path / "results")
    workspace = open_workspace()
    workspace.open_inputs([str(shared_data / "videos/one_face_720p_a.mp4")])
    wait_until(qtbot, lambda: shown_index(workspace) == 0)
    workspace._process_or_stop()
    wait_until(qtbot, lambda: tracked_frames(workspace) >= 2)
    workspace.stage.toggle_playing()
    workspace.request_end()
    workspace.join(2.0)
    lines = (tmp_path / "results/one_face_720p_a.jsonl").read_text().splitlines()
    assert len([json.loads(line) for line in lines]) >= 3


def test_two_videos_of_one_name_keep_their_results_apart(
    open_workspace: MakeWorkspace, qtbot: QtBot, film: Path, tmp_path: Path, services: Services
) -> None:
    services.settings.update("video", results_folder=tmp_path / "results")
    other = tmp_path / "other" / "film.mp4"
    other.parent.mkdir()
    shutil.copy(film, other)
    workspace = open_workspace()
    workspace.open_inputs([str(film), str(other)])
    wait_until(qtbot, lambda: not any(entry.loading for entry in workspace.library.entries.values()))
    workspace.library.process(list(workspace.library.entries))
    wait_until(qtbot, lambda: all(entry.loaded for entry in workspace.library.entries.values()))
    sources = {entry.loaded.run.source for entry in workspace.library.entries.values() if entry.loaded}
    assert sources == {film.resolve(), other.resolve()}
    assert len(list((tmp_path / "results").glob("*.fewmark.json"))) == 2


@pytest.mark.slow
def test_the_window_stays_fluent_while_a_video_is_processed(
    open_workspace: MakeWorkspace,
    qtbot: QtBot,
    qapp: QApplication,
    shared_data: Path,
    services: Services,
    tmp_path: Path,
) -> None:
    services.settings.update("video", results_folder=tmp_path / "results")
    workspace = open_workspace()
    workspace.open_inputs([str(shared_data / "videos/two_faces_720p.mp4")])
    wait_until(qtbot, lambda: shown_index(workspace) == 0)
    beats: list[tuple[float, float]] = []
    heart = QTimer()
    heart.timeout.connect(lambda: beats.append((time.perf_counter(), time.thread_time())))
    heart.start(5)
    workspace._process_or_stop()
    workspace.stage.toggle_playing()
    wait_until(qtbot, lambda: processed(workspace))
    heart.stop()
    gaps_ms, busy_ms = 1000 * np.diff(beats, axis=0).T
    print(f"longest pause {gaps_ms.max():.1f} ms, of that computing {busy_ms.max():.1f} ms")
    assert busy_ms.max() < 50 * slowness()  # not the pauses: other programs may have the processor
