"""The video workspace with real files, a real model, and its real threads."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PyQt6.QtCore import QTimer
from PyQt6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from gui.services import Action, Level, Services
from gui.video import VideoWorkspace
from gui.video.entry import Entry
from gui.video.wording import state_of, status_of
from models.checkpoint import FaceModel, save_model
from models.registry import DEFAULT_MODEL, open_model
from tracker.assets import demo_clip
from tracker.batch import Job, OutputChoice, run_job
from tracker.batch.export import ExportChoice
from tracker.batch.progress import TaskState
from tracker.config import TrackerConfig
from tracker.pipeline import FaceTracker, open_tracker
from tracker.sources import open_source
from tracker.types import ImageArray

FRAMES = 20
WAIT_MS = 120_000  # this machine may be busy with something else


Messages = list[tuple[str, Level, Action | None]]
MakeWorkspace = Callable[[], VideoWorkspace]


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
        workspace.shutdown()
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


def wait_until(qtbot: QtBot, condition: Callable[[], object]) -> None:
    qtbot.waitUntil(lambda: bool(condition()), timeout=WAIT_MS)


def entry_of(workspace: VideoWorkspace) -> Entry:
    entry = workspace.library.get(workspace._chosen)
    assert entry is not None
    return entry


def shown_index(workspace: VideoWorkspace) -> int | None:
    picture = workspace.stage.picture
    return None if picture is None else picture.frame.index


def tracked_frames(workspace: VideoWorkspace) -> int:
    task = entry_of(workspace).task
    return 0 if task is None else task.frames


def processed(workspace: VideoWorkspace) -> bool:
    return entry_of(workspace).loaded is not None


def test_an_empty_workspace_says_what_to_do(open_workspace: MakeWorkspace) -> None:
    workspace = open_workspace()
    assert "Drop videos" in workspace.stage.canvas.message
    for shortcut in workspace.shortcuts():
        if shortcut.key != "Ctrl+O":  # that one opens a dialog
            shortcut.handler()
    assert workspace.stage.picture is None


def test_a_video_is_opened_played_and_stepped_through(open_workspace: MakeWorkspace, qtbot: QtBot, film: Path) -> None:
    workspace = open_workspace()
    workspace.open_inputs([str(film)])
    wait_until(qtbot, lambda: shown_index(workspace) == 0)
    stage = workspace.stage
    assert stage.canvas.message == ""
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
    workspace.open_inputs([str(tmp_path / "text.mp4"), "rtsp://camera/1"])
    wait_until(qtbot, lambda: entry_of(workspace).problem)
    assert "cannot be opened as a video" in workspace.stage.canvas.message
    assert any("cameras and streams" in text for text, _, _ in messages)
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
    workspace.shutdown()
    lines = (tmp_path / "results/one_face_720p_a.jsonl").read_text().splitlines()
    assert len([json.loads(line) for line in lines]) >= 3


def test_exports_and_single_frames_land_where_they_should(
    open_workspace: MakeWorkspace, qtbot: QtBot, film: Path, tmp_path: Path, messages: Messages
) -> None:
    workspace = open_workspace()
    workspace.open_inputs([str(film)])
    wait_until(qtbot, lambda: shown_index(workspace) == 0 and not entry_of(workspace).loading)
    workspace._show_export()
    assert "process the recording first" in messages[-1][0]
    workspace._process_or_stop()
    wait_until(qtbot, lambda: processed(workspace))
    workspace._show_export()
    dialog = workspace._dialog
    assert dialog is not None
    assert dialog.isVisible()
    assert dialog.choice == ExportChoice(video=True, overlays=workspace._style().overlays)
    workspace._export(ExportChoice(csv=True, video=True, stills="one a second"), tmp_path / "out")
    wait_until(qtbot, lambda: any("Export of film.mp4: done" in text for text, _, _ in messages))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *("film.annotated", "film.annotated.mp4", "film.csv")
    ]
    workspace.stage.seek(0.5)
    wait_until(qtbot, lambda: shown_index(workspace) == 5)
    workspace._save_frame()
    saved = film.parent / "fewmark-results" / "film_0-00.500.png"
    wait_until(qtbot, lambda: any("Saved film_0-00.500.png" in text for text, _, _ in messages))
    written = cv2.imread(str(saved))
    assert written is not None
    np.testing.assert_array_equal(written[:, :, ::-1], workspace.stage.canvas.image)


def test_a_heatmap_is_made_again_for_the_frame_that_is_shown(
    open_workspace: MakeWorkspace, qtbot: QtBot, film: Path, services: Services, face_tracker: FaceTracker
) -> None:
    run_job(Job(str(film), "film"), face_tracker, OutputChoice(jsonl=True), film.parent / "fewmark-results")
    workspace = open_workspace()
    services.settings.update("video", overlays=("heatmap",))
    workspace.open_inputs([str(film)])
    opening: list[bool] = []

    def heatmap_is_shown() -> bool:
        opening.append(workspace.stage.is_opening_network)
        picture = workspace.stage.picture
        result = picture.result if picture is not None else None
        return result is not None and any(face.heatmap is not None for face in result.faces)

    wait_until(qtbot, heatmap_is_shown)
    assert any(opening)
    wait_until(qtbot, lambda: not workspace.stage.is_opening_network)
    assert status_of(None, None, None, None, is_opening_network=True).activity.startswith("Loading the model")
    workspace.stage.step(3)
    wait_until(qtbot, lambda: shown_index(workspace) == 3 and heatmap_is_shown())


def test_reconstructions_are_offered_where_the_results_model_makes_them(
    open_workspace: MakeWorkspace, qtbot: QtBot, film: Path, services: Services, tmp_path: Path
) -> None:
    shipped = open_model(DEFAULT_MODEL)
    able = FaceModel("able", shipped.network, shipped.scheme, shipped.crop_rule, reconstructs=True)
    save_model(tmp_path / "able.safetensors", able)
    config = TrackerConfig(model=str(tmp_path / "able.safetensors"), backend="eager")
    with open_tracker(config) as tracker:
        run_job(Job(str(film), "film"), tracker, OutputChoice(jsonl=True), film.parent / "fewmark-results")
    services.settings.update("video", overlays=("reconstruction_beside",))
    services.models.choose_backend("eager")
    workspace = open_workspace()
    workspace.open_inputs([str(film)])

    def reconstruction_is_shown() -> bool:
        picture = workspace.stage.picture
        result = picture.result if picture is not None else None
        return result is not None and any(face.recon_error is not None for face in result.faces)

    wait_until(qtbot, reconstruction_is_shown)
    picture = workspace.stage.picture
    assert picture is not None
    height, width = picture.frame.image.shape[:2]
    assert picture.image.shape == (height, 2 * width, 3)
    loaded = entry_of(workspace).loaded
    assert loaded is not None
    assert loaded.no_reconstructions == ""
    assert not loaded.same_settings  # the model that is chosen is another one


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
    assert busy_ms.max() < 50  # not the pauses: other programs may have the processor
