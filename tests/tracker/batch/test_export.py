"""Files made from stored results: as tracking would have made them, and without tracking."""

from __future__ import annotations

import csv
from dataclasses import replace
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from models.errors import FewmarkError
from models.files.model_file import FaceModel, save_model
from models.registry import open_model
from tracker.backends import PredictionRequest, choose_backend
from tracker.batch import Job, OutputChoice, run_job
from tracker.batch.claim import claimed
from tracker.batch.export import ExportChoice, ExportRequest, export_results
from tracker.batch.results import StoredResults, least_confident_moments, read_results
from tracker.files.assets import demo_clip
from tracker.following.face_pictures import add_pictures
from tracker.following.pipeline import FaceTracker
from tracker.overlays import OverlayContext
from tracker.sources import open_source
from tracker.types import TrackingResult

FRAMES = 8


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo clip's first frames at 480x270, five a second."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    with open_source(demo_clip()) as source, av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=5)
        stream.width, stream.height, stream.pix_fmt = 480, 270, "yuv420p"
        for frame in islice(source, FRAMES):
            small = np.asarray(cv2.resize(frame.image, (480, 270)), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(small, "rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def out(tmp_path: Path, clip: Path, face_tracker: FaceTracker) -> Path:
    """The tables of a run over the clip."""
    run_job(Job(str(clip), "clip"), face_tracker, OutputChoice(csv=True, jsonl=True), tmp_path / "out")
    return tmp_path / "out"


@pytest.fixture
def results(out: Path) -> StoredResults:
    return read_results(out / "clip.jsonl")


def request_for(clip: Path, results: StoredResults, folder: Path, choice: ExportChoice, model: str) -> ExportRequest:
    context = OverlayContext(results.scheme)
    return ExportRequest(str(clip), "clip", results, choice, folder, context, model, backend="eager")


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_tables_come_out_as_the_run_wrote_them(tmp_path: Path, clip: Path, out: Path, results: StoredResults) -> None:
    choice = ExportChoice(csv=True, jsonl=True)
    request = request_for(tmp_path / "gone.mp4", results, tmp_path / "again", choice, "no such model")
    report = export_results(request)
    assert (report.frames, report.finished) == (FRAMES, True)
    assert [path.name for path in report.outputs] == ["clip.csv", "clip.jsonl"]
    for row, other in zip(table(tmp_path / "again/clip.csv"), table(out / "clip.csv"), strict=True):
        assert {name: float(row[name]) for name in row if name != "source" and row[name]} == pytest.approx(
            {name: float(other[name]) for name in other if name != "source" and other[name]}, abs=1.1e-3
        )
        assert row["source"] == str(clip)
    again = read_results(tmp_path / "again/clip.jsonl")
    np.testing.assert_array_equal(again.points, results.points)
    assert again.confidence_meaning == results.confidence_meaning == open_model(results.model).confidence_meaning


def test_files_that_another_run_is_writing_are_left_alone(tmp_path: Path, clip: Path, results: StoredResults) -> None:
    request = request_for(clip, results, tmp_path / "busy", ExportChoice(csv=True), "")
    with claimed(request.out, request.stem), pytest.raises(FewmarkError, match="another run is writing these files"):
        export_results(request)
    assert list(request.out.iterdir()) == []
    assert export_results(request).finished


def test_tables_that_are_there_already_are_left_alone(out: Path, clip: Path, results: StoredResults) -> None:
    before = (out / "clip.jsonl").stat().st_mtime_ns
    request = request_for(clip, results, out, ExportChoice(jsonl=True), "")
    report = export_results(replace(request, present=(out / "clip.jsonl",)))
    assert report.outputs == [out / "clip.jsonl"]
    assert (out / "clip.jsonl").stat().st_mtime_ns == before


def test_video_and_stills_need_no_network(tmp_path: Path, clip: Path, results: StoredResults) -> None:
    choice = ExportChoice(video=True, stills="all", overlays=("contours", "points"))
    seen: list[TrackingResult] = []
    request = request_for(clip, results, tmp_path / "new", choice, "no such model")
    report = export_results(request, on_result=seen.append)
    assert report.frames == len(seen) == FRAMES
    with av.open(str(tmp_path / "new/clip.annotated.mp4")) as container:
        shown = [frame.time for frame in container.decode(video=0)]
    np.testing.assert_allclose(shown, results.time_s, atol=1e-3)
    stills = sorted((tmp_path / "new/clip.annotated").iterdir())
    assert len(stills) == FRAMES
    drawn = cv2.cvtColor(np.asarray(cv2.imread(str(stills[0])), np.uint8), cv2.COLOR_BGR2RGB)
    left, top, right, bottom = results.box[0].astype(int)
    difference = np.abs(drawn.astype(int) - seen[0].frame.image).max(axis=2)
    assert difference[top:bottom, left:right].max() > 60
    assert difference[: max(top - 20, 1)].max() == 0


def test_stills_can_be_chosen(tmp_path: Path, clip: Path, results: StoredResults) -> None:
    one_a_second = request_for(clip, results, tmp_path / "seconds", ExportChoice(stills="one a second"), "")
    (folder,) = export_results(one_a_second).outputs
    assert sorted(path.name for path in folder.iterdir()) == ["000000.png", "000005.png"]
    doubtful = request_for(clip, results, tmp_path / "doubtful", ExportChoice(stills="least confident"), "")
    (folder,) = export_results(doubtful).outputs
    expected = {f"{moment.index:06d}.png" for moment in least_confident_moments(results)}
    assert {path.name for path in folder.iterdir()} == expected


def test_stopping_completes_the_files(tmp_path: Path, clip: Path, results: StoredResults) -> None:
    asked = iter(range(100))
    request = request_for(clip, results, tmp_path / "new", ExportChoice(csv=True, video=True), "")
    report = export_results(request, should_stop=lambda: next(asked) >= 3)
    assert (report.frames, report.finished) == (3, False)
    assert len(table(tmp_path / "new/clip.csv")) == 3
    with av.open(str(tmp_path / "new/clip.annotated.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 3


def test_what_the_network_saw_is_seen_again(clip: Path, results: StoredResults, face_tracker: FaceTracker) -> None:
    with open_source(clip) as source:
        frames = list(islice(source, 3))
    live = [face_tracker.process(frame, heatmaps=True) for frame in frames][-1]
    stored = results.result_of(frames[-1])
    assert stored is not None
    again = add_pictures(stored, face_tracker.backend, PredictionRequest(heatmaps=True))
    first, second = live.faces[0].heatmap, again.faces[0].heatmap
    assert first is not None
    assert second is not None
    assert float(np.abs(first - second).max()) < 0.1  # half a grey level of the crop apart, by rounding
    one = add_pictures(stored, face_tracker.backend, PredictionRequest(heatmaps=True, heatmap_of=30))
    assert one.faces[0].heatmap is not None
    assert one.faces[0].heatmap.sum() < second.sum()
    np.testing.assert_array_equal(again.faces[0].points, stored.faces[0].points)


def test_reconstructions_are_made_by_the_results_own_model(
    tmp_path: Path, clip: Path, results: StoredResults, face_tracker: FaceTracker
) -> None:
    shipped = open_model(face_tracker.config.model)
    able = FaceModel("able", shipped.network, shipped.scheme, shipped.crop_rule, reconstructs=True)
    save_model(tmp_path / "able.safetensors", able)
    backend = choose_backend("eager", able).backend
    with open_source(clip) as source:
        stored = results.result_of(next(iter(source)))
    assert stored is not None
    face = add_pictures(stored, backend, PredictionRequest(reconstructions=True)).faces[0]
    assert face.reconstruction is not None
    assert face.reconstruction.shape == (face.crop_size, face.crop_size, 3)
    assert face.recon_error is not None
    assert 0 < face.recon_error < 255
    choice = ExportChoice(stills="one a second", overlays=("reconstruction",))
    request = request_for(clip, results, tmp_path / "new", choice, str(tmp_path / "able.safetensors"))
    assert export_results(request).frames == FRAMES


def test_what_can_not_be_made_is_told_before_anything_is_written(
    tmp_path: Path, clip: Path, results: StoredResults, face_tracker: FaceTracker
) -> None:
    with pytest.raises(FewmarkError, match="nothing to export"):
        ExportChoice()
    heatmaps = ExportChoice(video=True, overlays=("heatmap",))
    without_crops = replace(results, crop_size=np.zeros_like(results.crop_size))
    with pytest.raises(FewmarkError, match="don't say where the crops lay"):
        export_results(request_for(clip, without_crops, tmp_path / "a", heatmaps, "fine256"))
    with pytest.raises(FewmarkError, match="neither a shipped model"):
        export_results(request_for(clip, results, tmp_path / "a", heatmaps, "no such model"))
    assert list((tmp_path / "a").iterdir()) == []
    (tmp_path / "taken").write_text("")
    with pytest.raises(FewmarkError, match="the output folder can't be made"):
        export_results(request_for(clip, results, tmp_path / "taken", ExportChoice(csv=True), ""))
