"""A film whose pixels are not square, from the file to its tables, its annotated video, and what the window draws."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tracker.batch import Job, OutputChoice, run_job
from tracker.batch.export import ExportChoice, ExportRequest, export_results
from tracker.batch.results import ResultsBuilder, StoredResults, read_results
from tracker.following.face_pictures import PredictionRequest, add_pictures
from tracker.following.pipeline import FaceTracker
from tracker.geometry.crop import transform_points
from tracker.overlays import OverlayContext
from tracker.playback import open_reader
from tracker.sources import open_source
from tracker.types import ImageArray, TrackingResult

FRAMES = 6
ALL = OutputChoice(csv=True, jsonl=True, video=True)


@dataclass(frozen=True)
class Clip:
    path: Path
    results: StoredResults
    live: list[TrackingResult]  # as the tracker gave them
    grown: StoredResults  # as the window gathers them meanwhile


def write_clip(path: Path, images: list[ImageArray], size: tuple[int, int], aspect: Fraction) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "8"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        for image in images:
            small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(small, "rgb24")))
        container.mux(stream.encode(None))


def tracked(path: Path, tracker: FaceTracker) -> Clip:
    live: list[TrackingResult] = []
    builder = ResultsBuilder(tracker.model.scheme)

    def take(result: TrackingResult) -> None:
        live.append(result)
        builder.append(result)

    out = path.parent / "out"
    out.mkdir(exist_ok=True)
    run_job(Job(str(path), path.stem), tracker, ALL, out, on_result=take)
    return Clip(path, read_results(out / f"{path.stem}.jsonl"), live, builder.snapshot())


@pytest.fixture
def images(shared_data: Path) -> list[ImageArray]:
    with open_source(shared_data / "videos/one_face_720p_a.mp4") as source:
        return [frame.image for frame in islice(source, FRAMES)]


@pytest.fixture
def square(tmp_path: Path, images: list[ImageArray], face_tracker: FaceTracker) -> Clip:
    write_clip(tmp_path / "square.mp4", images, (1280, 720), Fraction(1))
    return tracked(tmp_path / "square.mp4", face_tracker)


@pytest.fixture(params=[Fraction(2), Fraction(1, 2)], ids=["wide", "tall"])
def squeezed(
    tmp_path: Path, images: list[ImageArray], face_tracker: FaceTracker, request: pytest.FixtureRequest
) -> Clip:
    size = (640, 720) if request.param == 2 else (1280, 360)
    write_clip(tmp_path / "squeezed.mp4", images, size, request.param)
    return tracked(tmp_path / "squeezed.mp4", face_tracker)


def stretch_of(clip: Clip) -> np.ndarray:
    """By how much its pixels are wider and taller than those of 1280 x 720, x and y."""
    with av.open(str(clip.path)) as container:
        stream = container.streams.video[0]
        return np.array([1280 / stream.width, 720 / stream.height])


def test_tables_hold_the_file_s_own_pixels_and_faces_are_as_sure(square: Clip, squeezed: Clip) -> None:
    stretch = stretch_of(squeezed)
    points = (squeezed.results.points + 0.5) * stretch - 0.5
    assert points.shape == square.results.points.shape == (FRAMES, 68, 2)
    eyes = np.linalg.norm(square.results.points[:, 36] - square.results.points[:, 45], axis=1)
    error = np.linalg.norm(points - square.results.points, axis=2).mean(axis=1) / eyes
    assert error.max() < 0.015  # a tracker that sees the face squeezed is off by several times as much
    np.testing.assert_allclose(squeezed.results.confidence.mean(), square.results.confidence.mean(), atol=0.03)
    boxes = (squeezed.results.box.reshape(-1, 2, 2) + 0.5) * stretch - 0.5
    np.testing.assert_allclose(boxes.reshape(-1, 4), square.results.box, atol=float(0.05 * eyes.min()))
    middle = [[127.5, 127.5]]
    for own, other in zip(squeezed.results.frame_from_crop, square.results.frame_from_crop, strict=True):
        moved = (transform_points(middle, own) + 0.5) * stretch - 0.5
        np.testing.assert_allclose(moved, transform_points(middle, other), atol=float(0.05 * eyes.min()))


def test_the_csv_agrees_with_the_json_lines_and_the_sidecar_says_whose_pixels_they_are(squeezed: Clip) -> None:
    out = squeezed.path.parent / "out"
    with (out / "squeezed.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row, points, box in zip(rows, squeezed.results.points, squeezed.results.box, strict=True):
        np.testing.assert_allclose([[float(row[f"{a}_{i}"]) for a in "xy"] for i in range(68)], points, atol=2e-3)
        np.testing.assert_allclose([float(row[f"bbox_{side}"]) for side in "xy"], box[:2], atol=2e-3)
    sidecar = json.loads((out / "squeezed.fewmark.json").read_text(encoding="utf-8"))
    assert sidecar["pixel_aspect"] == stretch_of(squeezed)[0] / stretch_of(squeezed)[1]
    assert "pixels of the source itself" in sidecar["positions"]


def test_the_annotated_video_keeps_the_display_shape(squeezed: Clip) -> None:
    out = squeezed.path.parent / "out"
    with open_source(out / "squeezed.annotated.mp4") as source:
        assert (source.info.width, source.info.height) == (1280, 720)
        assert source.info.pixel_aspect == 1
        drawn = next(iter(source)).image
    with open_source(squeezed.path) as source:
        frame = next(iter(source))
    changed = np.abs(drawn.astype(int) - frame.image).max(axis=2) > 80
    rows, columns = np.nonzero(changed)
    left, top, right, bottom = squeezed.live[0].faces[0].box.xyxy
    assert changed.sum() > 200
    reach = 0.5 * (right - left)
    assert columns.min() > left - reach
    assert columns.max() < right + reach
    assert rows.min() > top - reach
    assert rows.max() < bottom + reach


def test_the_window_draws_stored_and_growing_results_where_the_face_is(
    squeezed: Clip, face_tracker: FaceTracker
) -> None:
    with open_reader(squeezed.path) as reader:
        frames = [reader.read(i) for i in range(FRAMES)]
    for frame, live in zip(frames, squeezed.live, strict=True):
        assert frame is not None
        assert frame.image.shape == (720, 1280, 3)
        for results in (squeezed.results, squeezed.grown):
            shown = results.result_of(frame)
            assert shown is not None
            np.testing.assert_allclose(shown.faces[0].points, live.faces[0].points, atol=5e-3)
            np.testing.assert_allclose(shown.faces[0].frame_from_crop, live.faces[0].frame_from_crop, atol=5e-3)
    # The network sees the very crop again: its reconstruction is the one that tracking would have made.
    assert frames[0] is not None
    stored = squeezed.results.result_of(frames[0])
    assert stored is not None
    pictured = add_pictures(stored, face_tracker.backend, PredictionRequest(heatmaps=True))
    heatmap = pictured.faces[0].heatmap
    assert heatmap is not None
    assert heatmap.max() > 0.3


def test_exported_tables_are_those_of_the_run(squeezed: Clip, face_tracker: FaceTracker, tmp_path: Path) -> None:
    """Whether the frames are read for it or not."""
    context = OverlayContext(face_tracker.model.scheme)
    for name, choice in [
        ("alone", ExportChoice(csv=True, jsonl=True)),
        ("with video", ExportChoice(csv=True, jsonl=True, video=True)),
    ]:
        folder = tmp_path / name
        folder.mkdir()
        request = ExportRequest(
            str(squeezed.path), "squeezed", squeezed.results, choice, folder, context, "fine256", backend="eager"
        )
        export_results(request)
        again = read_results(folder / "squeezed.jsonl")
        np.testing.assert_allclose(again.points, squeezed.results.points, atol=1.5e-3)
        np.testing.assert_allclose(again.frame_from_crop, squeezed.results.frame_from_crop, atol=1e-5)
