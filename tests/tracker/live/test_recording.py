"""Recordings and snapshots of live sessions, read back."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Any

import cv2
import numpy as np
import pytest

from models.errors import FewmarkError
from models.landmark_schemes import IBUG_68, LandmarkScheme
from tracker.batch import Job, Selection
from tracker.batch.results import read_results
from tracker.batch.stored_run import find_run
from tracker.config import TrackerConfig
from tracker.live import EventKind, LiveConfig, LiveEvent, LivePicture, RecordingPlan, TrackedFrame, TrackerFacts
from tracker.live.recording import Recorder, free_stem
from tracker.live.snapshot import start_snapshot
from tracker.sources import open_source
from tracker.types import FaceBox, Frame, SourceInfo, TrackedFace, TrackingResult

PATIENCE_S = 180.0
INFO = SourceInfo("Logitech BRIO", 64, 48, 30.0, None, is_live=True)
MEANING = "probability of an error below 5 %"
FACTS = TrackerFacts(
    TrackerConfig(),
    model="fine256",
    backend="eager",
    device="CPU, 2 threads",
    passed_over=(),
    scheme=IBUG_68,
    why_no_reconstruction="not in this test",
    confidence_meaning=MEANING,
)


def make_picture(index: int, time_s: float, *, faces: int = 1, facts: TrackerFacts = FACTS) -> LivePicture:
    """A picture whose frame is as grey as its index says, and whose drawing is red."""
    image = np.full((48, 64, 3), 10 * index, np.uint8)
    points = np.full((facts.scheme.num_points, 2), index, np.float32)
    tracked = tuple(
        TrackedFace(
            face_id=i,
            points=points,
            confidence=np.full(len(points), 0.5, np.float32),
            box=FaceBox(np.array([1, 2, 21, 22], np.float32), 0.5),
            frame_from_crop=np.array([[1.0, 0, 0], [0, 1, 0]]),
            crop_size=128,
        )
        for i in range(faces)
    )
    frame = Frame(image, 1000 + index, time_s)
    drawn = image.copy()
    drawn[:] = (250, 0, 0)
    result = TrackingResult(frame, tracked, model=facts.model, backend=facts.backend)
    return LivePicture(drawn, TrackedFrame(result, time_s, LiveConfig(), facts, INFO), None, is_new=True)


class Reports(list[LiveEvent]):
    """Keeps what is reported."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = Event()

    def __call__(self, event: LiveEvent) -> None:
        self.append(event)
        self.ended.set()


def record(plan: RecordingPlan, pictures: list[LivePicture]) -> tuple[Recorder, LiveEvent]:
    """A recording of these pictures, none left out, and what it said at its end."""
    reports = Reports()
    recorder = Recorder(plan, FACTS, reports)
    for i, picture in enumerate(pictures):
        recorder.offer(picture)
        wait_until(lambda i=i: recorder.frames > i or reports.ended.is_set())
    recorder.finish()
    assert recorder.join(PATIENCE_S)
    return recorder, reports[-1]


def wait_until(condition: Callable[[], Any]) -> None:
    deadline = time.perf_counter() + PATIENCE_S
    while not condition():
        assert time.perf_counter() < deadline
        time.sleep(0.005)


def test_all_files_of_a_recording_tell_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "videos" / "Fewmark"
    times_s = [50.0, 50.04, 50.11, 50.15]
    pictures = [make_picture(i, time_s, faces=i % 2 + 1) for i, time_s in enumerate(times_s)]
    recorder, event = record(RecordingPlan(folder), pictures)
    assert event.kind is EventKind.RECORDING_SAVED
    assert (event.path, recorder.frames, recorder.dropped) == (folder, 4, 0)
    assert event.text.startswith("Recorded 4 frames, 0.1 s")

    video, drawn = folder / f"{recorder.stem}.mp4", folder / f"{recorder.stem}.annotated.mp4"
    for path in (video, drawn):
        with open_source(path) as source:
            frames = list(source)
        assert [frame.time_s for frame in frames] == pytest.approx([t - 50 for t in times_s], abs=1e-4)
        red = path == drawn
        assert all((frame.image[..., 0].mean() > 200) == red for frame in frames)

    with (folder / f"{recorder.stem}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["frame"] for row in rows] == ["1", "2", "2", "3", "4", "4"]
    assert [float(row["timestamp"]) for row in rows] == pytest.approx([0, 0.04, 0.04, 0.11, 0.15, 0.15])
    assert float(rows[3]["x_0"]) == 2
    assert rows[0]["source"] == str(video)

    sidecar = json.loads((folder / f"{recorder.stem}.fewmark.json").read_text())
    assert (sidecar["frames"], sidecar["frames_with_face"], sidecar["model"]) == (4, 4, "fine256")
    assert sidecar["confidence_meaning"] == MEANING
    assert read_results(folder / f"{recorder.stem}.jsonl").confidence_meaning == MEANING
    assert sidecar["recording"]["source"] == "Logitech BRIO"
    assert datetime.fromisoformat(sidecar["recording"]["started"]).tzinfo is not None
    assert sorted(sidecar["files"]) == sorted(path.name for path in folder.iterdir() if path.suffix != ".json")


def test_tables_of_a_stream_whose_pixels_are_not_square_lie_on_the_recorded_video(tmp_path: Path) -> None:
    picture = make_picture(2, 5.0)
    result = picture.tracked.result
    stretched = replace(result, frame=replace(result.frame, pixel_aspect=2.0))
    recorder, _ = record(
        RecordingPlan(tmp_path), [replace(picture, tracked=replace(picture.tracked, result=stretched))]
    )
    with open_source(tmp_path / f"{recorder.stem}.mp4") as source:
        (frame,) = source
    stored = read_results(tmp_path / f"{recorder.stem}.jsonl").result_of(frame)
    assert stored is not None
    np.testing.assert_array_equal(stored.faces[0].points, result.faces[0].points)


def test_a_recording_opens_again_with_its_results(tmp_path: Path) -> None:
    recorder, _ = record(RecordingPlan(tmp_path), [make_picture(i, 5 + i / 30) for i in range(3)])
    video = tmp_path / f"{recorder.stem}.mp4"
    run = find_run(Job(str(video), video.stem), Selection(), [tmp_path])
    assert run is not None
    assert run.results is not None
    results = read_results(run.results)
    assert results.num_frames == 3
    with open_source(video) as source:
        for i, frame in enumerate(source):
            stored = results.result_of(frame)
            assert stored is not None
            assert stored.faces[0].points[0, 0] == i


def test_only_what_is_planned_is_written(tmp_path: Path) -> None:
    plan = RecordingPlan(tmp_path, clean_video=False, annotated_video=False, csv=False, jsonl=True)
    recorder, _ = record(plan, [make_picture(0, 1.0)])
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"{recorder.stem}.fewmark.json", f"{recorder.stem}.jsonl"]
    header = json.loads((tmp_path / f"{recorder.stem}.jsonl").read_text().splitlines()[0])
    assert header["source"] == "Logitech BRIO"
    nothing = RecordingPlan(tmp_path, clean_video=False, annotated_video=False, csv=False, jsonl=False)
    with pytest.raises(FewmarkError, match="nothing to record: choose at least one"):
        Recorder(nothing, FACTS, Reports())


def test_pictures_without_time_to_be_encoded_are_missing_everywhere(tmp_path: Path) -> None:
    reports = Reports()
    recorder = Recorder(RecordingPlan(tmp_path), FACTS, reports)
    for i in range(200):
        recorder.offer(make_picture(i % 25, 1 + i / 1000))
    recorder.finish()
    assert recorder.join(PATIENCE_S)
    assert recorder.dropped > 0
    assert recorder.frames + recorder.dropped == 200
    assert f"{recorder.dropped} frames are missing" in reports[-1].text
    rows = (tmp_path / f"{recorder.stem}.csv").read_text().splitlines()
    with open_source(tmp_path / f"{recorder.stem}.mp4") as source:
        assert len(list(source)) == len(rows) - 1 == recorder.frames


def test_another_landmark_scheme_ends_the_recording_and_says_so(tmp_path: Path) -> None:
    other = TrackerFacts(TrackerConfig(), "five", "eager", "CPU", (), LandmarkScheme("five", tuple("abcde")), False)
    pictures = [make_picture(0, 1.0), make_picture(1, 1.1), make_picture(2, 1.2, facts=other)]
    recorder, event = record_until_end(tmp_path, pictures)
    assert event.kind is EventKind.RECORDING_SAVED
    assert "the new model has other landmarks" in event.text
    assert recorder.frames == 2


def record_until_end(folder: Path, pictures: list[LivePicture]) -> tuple[Recorder, LiveEvent]:
    reports = Reports()
    recorder = Recorder(RecordingPlan(folder), FACTS, reports)
    for picture in pictures:
        recorder.offer(picture)
    assert recorder.join(PATIENCE_S)
    recorder.offer(pictures[0])  # too late, and without effect
    return recorder, reports[-1]


def test_a_recording_without_a_picture_leaves_nothing(tmp_path: Path) -> None:
    _, event = record(RecordingPlan(tmp_path), [])
    assert event.kind is EventKind.RECORDING_FAILED
    assert "no picture came" in event.text
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FewmarkError, match="choose another folder for recordings"):
        Recorder(RecordingPlan(tmp_path / "file" / "folder"), FACTS, Reports())


def test_a_disk_that_fails_ends_the_recording_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_self: Any, _result: Any) -> None:
        raise FewmarkError("x.csv: writing failed (No space left on device); check the space left on that disk")

    monkeypatch.setattr("tracker.sinks.OpenFaceCsvSink.write", fail)
    recorder, event = record(RecordingPlan(tmp_path), [make_picture(0, 1.0)])
    assert event.kind is EventKind.RECORDING_FAILED
    assert event.text.startswith("The recording ended: x.csv: writing failed (No space left")
    assert (tmp_path / f"{recorder.stem}.csv").exists()


def test_recordings_of_one_second_do_not_overwrite_each_other(tmp_path: Path) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5)
    names = []
    for _ in range(3):
        names.append(free_stem(tmp_path, moment))
        (tmp_path / f"{names[-1]}.mp4").touch()
    assert names[0] == "fewmark_2026-01-02_03-04-05"
    assert names[1:] == [f"{names[0]}_2", f"{names[0]}_3"]


def test_a_snapshot_is_the_picture(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    reports = Reports()
    start_snapshot(image, tmp_path / "räume", reports).join(PATIENCE_S)
    (event,) = reports
    assert event.kind is EventKind.SNAPSHOT_SAVED
    assert event.path is not None
    stored = cv2.imdecode(np.fromfile(event.path, np.uint8), cv2.IMREAD_COLOR)
    assert stored is not None
    assert (stored[:, :, ::-1] == image).all()
    (tmp_path / "file").write_text("")
    start_snapshot(image, tmp_path / "file", reports).join(PATIENCE_S)
    assert reports[-1].kind is EventKind.SNAPSHOT_FAILED
    assert "choose another folder" in reports[-1].text
