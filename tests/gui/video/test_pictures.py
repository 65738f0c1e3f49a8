"""What the video workspace makes of results: exports, single frames, heatmaps, reconstructions."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from pytestqt.qtbot import QtBot
from window_steps import MakeWorkspace, Messages, entry_of, processed, shown_index, wait_until

from gui.services import Services
from gui.video.wording import status_of
from models.files.model_file import FaceModel, save_model
from models.registry import DEFAULT_MODEL, open_model
from tracker.batch import Job, OutputChoice, run_job
from tracker.batch.export import ExportChoice
from tracker.config import TrackerConfig
from tracker.following.pipeline import FaceTracker, open_tracker


def test_exports_and_single_frames_land_where_they_should(
    open_workspace: MakeWorkspace, qtbot: QtBot, film: Path, tmp_path: Path, messages: Messages
) -> None:
    workspace = open_workspace()
    workspace.open_inputs([str(film)])
    wait_until(qtbot, lambda: shown_index(workspace) == 0 and not entry_of(workspace).loading)
    workspace.exporter.ask()
    assert "process the recording first" in messages[-1][0]
    workspace._process_or_stop()
    wait_until(qtbot, lambda: processed(workspace))
    workspace.exporter.ask()
    dialog = workspace.exporter.dialog
    assert dialog is not None
    assert dialog.isVisible()
    assert dialog.choice == ExportChoice(video=True, overlays=workspace._style().overlays)
    workspace.exporter.export(ExportChoice(csv=True, video=True, stills="one a second"), tmp_path / "out")
    wait_until(qtbot, lambda: any("Export of film.mp4: done" in text for text, _, _ in messages))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *("film.annotated", "film.annotated.mp4", "film.csv")
    ]
    workspace.stage.seek(0.5)
    wait_until(qtbot, lambda: shown_index(workspace) == 5)
    workspace.exporter.save_frame()
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
