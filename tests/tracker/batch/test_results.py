"""Results read back from what a run wrote: the same faces at the same times."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from models.errors import FewmarkError
from models.landmark_schemes import IBUG_68, LandmarkScheme
from tracker.batch import Job, OutputChoice, Selection, run_job
from tracker.batch.results import ResultsBuilder, StoredResults, least_confident_moments, read_results
from tracker.batch.stored_run import find_run, job_into, read_run
from tracker.config import TrackerConfig, TrackingConfig
from tracker.following.pipeline import FaceTracker
from tracker.sinks import JsonLinesSink
from tracker.types import FaceBox, Frame, TrackedFace, TrackingResult

TRIANGLE = LandmarkScheme(name="triangle", point_names=("left", "right", "below"))
TABLES = OutputChoice(csv=True, jsonl=True)


def make_face(face_id: int, score: float, *, recon_error: float | None = None) -> TrackedFace:
    points = np.array([[10.125, 20], [30.5, 20], [20, -1.5]], np.float32) + face_id
    box = FaceBox(np.array([10, -1.5, 30.5, 20], np.float32) + face_id, score)
    matrix = np.array([[1.25, -0.5, 7], [0.5, 1.25, -3]])
    confidence = np.array([score, 1, 0.25], np.float32)
    return TrackedFace(face_id, points, confidence, box, matrix, 64, recon_error=recon_error)


def make_result(index: int, time_s: float, *faces: TrackedFace, name: str = "") -> TrackingResult:
    return TrackingResult(Frame(np.zeros((4, 4, 3), np.uint8), index, time_s, name), faces, model="demo")


def stored(path: Path, *results: TrackingResult, scheme: LandmarkScheme = TRIANGLE) -> StoredResults:
    with JsonLinesSink(path, scheme, model="demo", source="film.mp4") as sink:
        for result in results:
            sink.write(result)
    return read_results(path)


def assert_same_face(face: TrackedFace, other: TrackedFace) -> None:
    assert face.face_id == other.face_id
    np.testing.assert_allclose(face.points, other.points, atol=5e-4)
    np.testing.assert_allclose(face.confidence, other.confidence, atol=5e-4)
    np.testing.assert_allclose(face.box.xyxy, other.box.xyxy, atol=5e-4)
    np.testing.assert_allclose(face.frame_from_crop, other.frame_from_crop, atol=1e-6)
    assert face.crop_size == other.crop_size
    assert face.box.score == pytest.approx(other.box.score, abs=5e-4)
    assert face.recon_error == (None if other.recon_error is None else pytest.approx(other.recon_error, abs=5e-4))


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    written = [
        make_result(0, 1 / 3, make_face(0, 0.9), make_face(4, 0.5, recon_error=12.3)),
        make_result(1, 2 / 3, name="img.png"),
        make_result(2, 1.0, make_face(4, 0.7)),
    ]
    results = stored(tmp_path / "faces.jsonl", *written)
    assert (results.scheme, results.model, results.source) == (TRIANGLE, "demo", "film.mp4")
    assert results.num_frames == 3
    assert results.has_crops
    assert list(results.names) == ["", "img.png", ""]
    for result in written:
        again = results.result_of(result.frame)
        assert again is not None
        assert again.frame is result.frame
        for face, other in zip(again.faces, result.faces, strict=True):
            assert_same_face(face, other)
    assert results.result_of(make_result(9, 0.9).frame) is None
    assert results.result_of(make_result(9, 99.0).frame) is None


def test_confidence_comes_by_face(tmp_path: Path) -> None:
    results = stored(
        tmp_path / "faces.jsonl",
        make_result(0, 0.0, make_face(0, 0.9)),
        make_result(1, 0.04, make_face(0, 0.8), make_face(1, 0.6)),
        make_result(2, 0.08),
    )
    series = results.confidence_by_face()
    assert {face_id: times.tolist() for face_id, (times, _) in series.items()} == {0: [0.0, 0.04], 1: [0.04]}
    np.testing.assert_allclose(series[0][1], [0.9, 0.8])


def test_the_least_confident_moments_lie_apart_the_worst_first(tmp_path: Path) -> None:
    scores = {0.0: 0.9, 0.5: 0.2, 0.6: 0.3, 2.0: 0.4, 3.0: 0.8}
    results = [make_result(i, t, make_face(0, 0.95), make_face(1, s)) for i, (t, s) in enumerate(scores.items())]
    everything = stored(tmp_path / "faces.jsonl", *results, make_result(9, 4.0))
    moments = least_confident_moments(everything, share=1.0)
    assert [(m.index, m.time_s, round(m.confidence, 3)) for m in moments] == [
        *((1, 0.5, 0.2), (3, 2.0, 0.4), (4, 3.0, 0.8))
    ]
    assert least_confident_moments(everything, share=1.0, count=1) == moments[:1]
    assert least_confident_moments(everything, share=0.6) == moments[:2]
    assert least_confident_moments(everything) == moments[:1]
    assert least_confident_moments(stored(tmp_path / "none.jsonl", make_result(0, 0.0))) == []


def test_results_grow_while_they_are_looked_at() -> None:
    builder = ResultsBuilder(TRIANGLE, model="demo", source="film.mp4")
    early = builder.snapshot()
    for i in range(600):
        builder.append(make_result(i, i / 25, make_face(0, 0.9), make_face(1, 0.5)))
        if i == 99:
            early = builder.snapshot()
    assert (early.num_frames, len(early.face_id)) == (100, 200)
    late = builder.snapshot()
    assert (late.num_frames, len(late.face_id)) == (600, 1200)
    result = early.result_of(make_result(99, 99 / 25).frame)
    assert result is not None
    assert_same_face(result.faces[1], make_face(1, 0.5))
    assert early.result_of(make_result(100, 100 / 25).frame) is None


def test_a_last_line_that_is_cut_off_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "faces.jsonl"
    stored(path, make_result(0, 0.0, make_face(0, 0.9)), make_result(1, 0.04, make_face(0, 0.9)))
    path.write_bytes(path.read_bytes()[:-7])
    assert read_results(path).num_frames == 1


def test_positions_that_were_not_finite_stay_unknown(tmp_path: Path) -> None:
    face = make_face(0, float("nan"))
    face.points[1] = np.nan
    results = stored(tmp_path / "faces.jsonl", make_result(0, 0.0, face))
    assert np.isnan(results.points[0, 1]).all()
    assert np.isnan(results.score[0])
    assert least_confident_moments(results) == []


def test_files_of_the_first_release_have_no_crops(tmp_path: Path) -> None:
    path = tmp_path / "faces.jsonl"
    stored(path, make_result(0, 0.0, make_face(0, 0.9)))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for name in ("crop_size", "frame_from_crop"):
        del lines[1]["faces"][0][name]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    results = read_results(path)
    assert not results.has_crops
    result = results.result_of(make_result(0, 0.0).frame)
    assert result is not None
    assert result.faces[0].crop_size == 0


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "its first line is not that of Fewmark's results"),
        (b'{"format": "other"}\n', "its first line is not that of Fewmark's results"),
        (b"\x00\xff\n", "its first line is not that of Fewmark's results"),
        (None, "cannot be read"),
    ],
)
def test_a_file_of_another_kind_is_told(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    path = tmp_path / "faces.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FewmarkError, match=sentence):
        read_results(path)


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        '{"frame": 1, "time_s": 0.1}',
        '{"frame": 1, "time_s": 0.1, "faces": [{"id": 0, "box": [0,0,1,1], "score": 1, "points": [[1,2]], '
        '"confidence": [0.5]}]}',
        '{"frame": 1, "time_s": 0.1, "faces": [3]}',
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "faces.jsonl"
    stored(path, make_result(0, 0.0, make_face(0, 0.9)))
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(FewmarkError, match=r"faces\.jsonl: line 3 is damaged"):
        read_results(path)


def test_a_run_is_found_until_its_source_changes(tmp_path: Path, face_tracker: FaceTracker, shared_data: Path) -> None:
    film = tmp_path / "film.gif"
    film.write_bytes((shared_data / "videos/head_turns_two_people.gif").read_bytes())
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    job, all_of_it = Job(str(film), "film"), Selection()
    seen: list[TrackingResult] = []
    run_job(job, face_tracker, TABLES, out, on_result=seen.append)
    run = find_run(job, all_of_it, [elsewhere, out])
    assert run is not None
    assert (run.source, run.model, run.frames) == (film.resolve(), face_tracker.model.name, len(seen))
    assert run.results == out / "film.jsonl"
    assert run.has_model_file()
    assert run.has_config(face_tracker.config)
    assert not run.has_config(TrackerConfig(tracking=TrackingConfig(max_faces=1)))

    results = read_results(out / "film.jsonl")
    assert results.scheme == face_tracker.model.scheme
    for result in seen:
        again = results.result_of(result.frame)
        assert again is not None
        for face, other in zip(again.faces, result.faces, strict=True):
            assert_same_face(face, other)

    # Moved together, they still belong together.
    moved = tmp_path / "moved"
    moved.mkdir()
    film.rename(moved / "film.gif")
    out.rename(moved / "out")
    run = read_run(moved / "out/film.fewmark.json")
    assert run.source == moved / "film.gif"
    assert find_run(Job(str(moved / "film.gif"), "film"), all_of_it, [moved / "out"]) is not None
    assert job_into(str(moved / "film.gif"), moved / "out").stem == "film"
    (moved / "film.gif").rename(film)
    (moved / "out").rename(out)

    assert find_run(job, Selection(end_s=1), [out]) is None
    (out / "film.jsonl").rename(out / "away.jsonl")
    assert find_run(job, all_of_it, [out]) is None
    (out / "away.jsonl").rename(out / "film.jsonl")
    os.utime(film, (1, 1))
    assert find_run(job, all_of_it, [out]) is None


def test_no_two_sources_share_their_files(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in ("a.mp4", "a.mkv"):
        (tmp_path / name).write_bytes(b"x")
    first = job_into(str(tmp_path / "a.mp4"), out)
    assert first.stem == "a"
    assert job_into(str(tmp_path / "a.mkv"), out, taken=["A"]).stem == "a.mkv"
    # A run that was stopped left no sidecar; its results name their source.
    JsonLinesSink(out / "a.jsonl", IBUG_68, source=str(tmp_path / "a.mp4")).close()
    assert job_into(str(tmp_path / "a.mkv"), out).stem == "a.mkv"
    assert job_into(str(tmp_path / "a.mp4"), out).stem == "a"


@pytest.mark.parametrize("content", ["", "[]", '{"format": "fewmark-run", "version": 99}', '{"format": 1}'])
def test_a_sidecar_that_is_none_is_told(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.fewmark.json"
    path.write_text(content)
    with pytest.raises(FewmarkError, match="not the record of a Fewmark run"):
        read_run(path)
    with pytest.raises(FewmarkError, match="cannot be read"):
        read_run(tmp_path / "missing.fewmark.json")
