"""The CSV and JSON-lines sinks: exact columns, strict values, nothing lost when a write fails."""

from __future__ import annotations

import csv
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from models.errors import FewmarkError
from models.landmark_schemes import LandmarkScheme
from tracker.sinks import SINKS, JsonLinesSink, OpenFaceCsvSink
from tracker.sinks.openface_csv import openface_columns
from tracker.types import FaceBox, Frame, TrackedFace, TrackingResult

SCHEME = LandmarkScheme(name="triangle", point_names=("left", "right", "below"), edges=((0, 1), (1, 2)))
POINTS = [[10.0, 20.12345], [30.5, 20.0], [20.0, -0.0001]]


def make_face(face_id: int = 0, points: list[list[float]] = POINTS, recon_error: float | None = None) -> TrackedFace:
    xy = np.array(points, np.float32)
    box = FaceBox(np.array([10, -0.5, 30.5, 20.125], np.float32), score=0.875)
    return TrackedFace(
        face_id, xy, np.array([0.5, 1, 0.25], np.float32), box, np.eye(2, 3), 64, recon_error=recon_error
    )


def make_result(index: int, time_s: float, *faces: TrackedFace, name: str = "") -> TrackingResult:
    return TrackingResult(Frame(np.zeros((48, 64, 3), np.uint8), index, time_s, name), faces, model="demo")


def test_csv_has_openface_columns_then_ours() -> None:
    columns = openface_columns(68)
    assert columns[:5] == ["frame", "face_id", "timestamp", "confidence", "success"]
    assert columns[5:73] == [f"x_{i}" for i in range(68)]
    assert columns[73:141] == [f"y_{i}" for i in range(68)]
    assert columns[141:209] == [f"c_{i}" for i in range(68)]
    assert columns[209:] == ["bbox_x", "bbox_y", "bbox_w", "bbox_h", "recon_error", "source"]


def test_csv_file_byte_by_byte(tmp_path: Path) -> None:
    path = tmp_path / "faces.csv"
    with OpenFaceCsvSink(path, SCHEME, source='a, "b".mp4') as sink:
        sink.write(make_result(0, 1 / 3, make_face(0), make_face(4, recon_error=12.34567)))
        sink.write(make_result(5, 0.5))
        sink.write(make_result(6, 1, name="img.png"))
    landmarks = "10.000,30.500,20.000,20.123,20.000,0.000,0.500,1.000,0.250,10.000,-0.500,20.500,20.625"
    assert path.read_bytes().decode() == "\n".join(
        [
            "frame,face_id,timestamp,confidence,success,x_0,x_1,x_2,y_0,y_1,y_2,c_0,c_1,c_2,"
            "bbox_x,bbox_y,bbox_w,bbox_h,recon_error,source",
            f'1,0,0.333333,0.875,1,{landmarks},,"a, ""b"".mp4"',
            f'1,4,0.333333,0.875,1,{landmarks},12.346,"a, ""b"".mp4"',
            '6,-1,0.500000,0,0,,,,,,,,,,,,,,,"a, ""b"".mp4"',
            "7,-1,1.000000,0,0,,,,,,,,,,,,,,,img.png",
            "",
        ]
    )


def test_csv_rows_are_as_long_as_the_header_and_hold_no_nan(tmp_path: Path) -> None:
    path = tmp_path / "faces.csv"
    with OpenFaceCsvSink(path, SCHEME, source="two\nlines") as sink:
        sink.write(make_result(0, 0, make_face(points=[[np.nan, 1], [np.inf, 2], [3, 3]])))
        sink.write(make_result(1, 0.04))
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(None not in row and None not in row.values() for row in rows)
    assert (rows[0]["x_0"], rows[0]["x_1"], rows[0]["y_0"], rows[0]["source"]) == ("", "", "1.000", "two\nlines")


def test_a_run_without_frames_leaves_the_header(tmp_path: Path) -> None:
    OpenFaceCsvSink(tmp_path / "a.csv", SCHEME).close()
    assert (tmp_path / "a.csv").read_text() == ",".join(openface_columns(3)) + "\n"
    JsonLinesSink(tmp_path / "a.jsonl", SCHEME).close()
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 1


def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "faces.jsonl"
    with JsonLinesSink(path, SCHEME, model="demo", source="Gesichter größer.mp4") as sink:
        sink.write(make_result(0, 1 / 3, make_face(0), make_face(4, recon_error=12.34567)))
        sink.write(make_result(5, 0.5, name="img.png"))
        sink.write(make_result(6, 1, make_face(points=[[np.nan, 1], [2, 2], [3, 3]])))
    header, first, second, third = (
        json.loads(line, parse_constant=pytest.fail) for line in path.read_text("utf-8").splitlines()
    )
    assert header == {
        "format": "fewmark-landmarks",
        "version": 1,
        "scheme": "triangle",
        "points": ["left", "right", "below"],
        "model": "demo",
        "source": "Gesichter größer.mp4",
    }
    face = {
        "id": 0,
        "box": [10, -0.5, 30.5, 20.125],
        "score": 0.875,
        "points": [[10, 20.123], [30.5, 20], [20, 0]],
        "confidence": [0.5, 1, 0.25],
        "crop_size": 64,
        "frame_from_crop": [[1, 0, 0], [0, 1, 0]],
    }
    assert first == {"frame": 0, "time_s": 0.333333, "faces": [face, face | {"id": 4, "recon_error": 12.346}]}
    assert second == {"frame": 5, "time_s": 0.5, "name": "img.png", "faces": []}
    assert third["faces"][0]["points"][0] == [None, 1]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_lines_reach_the_disk_at_once(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "out"
    sink = SINKS[kind](path, SCHEME)
    sink.write(make_result(0, 0, make_face()))
    assert len(path.read_text().splitlines()) == 2  # not closed: what a killed run leaves
    sink.close()
    sink.close()


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_undecodable_and_foreign_names_are_written(tmp_path: Path, kind: str) -> None:
    with SINKS[kind](tmp_path / "out", SCHEME, source="caf\udce9 北京") as sink:
        sink.write(make_result(0, 0))
    assert "caf\\udce9 北京" in (tmp_path / "out").read_text("utf-8")


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_folder_that_is_missing_is_named(tmp_path: Path, kind: str) -> None:
    with pytest.raises(FewmarkError, match=r"missing.out: cannot be created \(No such file"):
        SINKS[kind](tmp_path / "missing" / "out", SCHEME)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
def test_a_full_disk_is_named(kind: str) -> None:
    with pytest.raises(FewmarkError, match=r"/dev/full: writing failed \(No space left on device\)"):
        SINKS[kind](Path("/dev/full"), SCHEME)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX's")
def test_a_write_that_fails_midway_leaves_whole_lines(tmp_path: Path, kind: str) -> None:
    import resource

    path = tmp_path / "out"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with SINKS[kind](path, SCHEME) as sink:
        sink.write(make_result(0, 0, make_face()))
        before = path.read_bytes()
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, hard))  # as a disk with room for 10 bytes
        try:
            with pytest.raises(FewmarkError, match=r"out: writing failed .* are kept"):
                sink.write(make_result(1, 0.04, make_face()))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert path.read_bytes() == before
        sink.write(make_result(2, 0.08, make_face()))  # there is room again
    assert path.read_bytes().startswith(before)
    assert len(path.read_bytes().splitlines()) == 3


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="needs a user whom permissions bind")
def test_an_unwritable_folder_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(FewmarkError, match=r"Permission denied"):
            OpenFaceCsvSink(tmp_path / "out.csv", SCHEME)
    finally:
        tmp_path.chmod(0o700)
