"""The scripts of ``docs/examples``, run as a user would."""

from __future__ import annotations

import csv
import re
import runpy
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tracker import FaceTracker, open_model, open_source
from tracker.files.assets import demo_clip
from tracker.sinks import OpenFaceCsvSink
from tracker.sinks.mp4_writer import Mp4Writer
from tracker.types import FloatArray
from training.datasets import FaceSample, get_dataset

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs" / "examples"
FIVE = ("left_pupil", "right_pupil", "nose_tip", "left_mouth_corner", "right_mouth_corner")

Run = Callable[..., str]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a script by name in an empty folder, and gives what it prints."""

    def run_script(name: str, *arguments: object) -> str:
        path = EXAMPLES / f"{name}.py"
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [str(path), *map(str, arguments)])
        runpy.run_path(str(path), run_name="__main__")
        return capsys.readouterr().out

    return run_script


@pytest.fixture
def second(tmp_path: Path) -> Path:
    """A folder with the first 1.2 s of the demo clip, and with a file that is no video."""
    folder = tmp_path / "takes"
    folder.mkdir()
    with (
        open_source(demo_clip(), end_s=1.2) as source,
        closing(Mp4Writer(folder / "first.mp4", start_s=0, frame_rate=30, audio=None)) as clip,
    ):
        for frame in source:
            clip.write(frame.image, frame.time_s)
    (folder / "notes.txt").write_text("no video", encoding="utf-8")
    return folder


def five_of(points: FloatArray) -> FloatArray:
    return np.stack([points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]])


def label_table(path: Path, faces: list[FaceSample]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", *(f"{name}_{axis}" for name in FIVE for axis in "xy")])
        writer.writerows([face.image_path, *five_of(face.points).ravel()] for face in faces)
    return path


@pytest.fixture(scope="module")
def faces(shared_data: Path) -> list[FaceSample]:
    samples = get_dataset("300w").read(shared_data / "300w", "train").samples
    return [sample for sample in samples if sample.subset.startswith("helen")][:11]


def test_every_example_is_run_here() -> None:
    ours = Path(__file__).read_text(encoding="utf-8")
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(re.findall(r'run\(\s*"(\w+)"', ours))


def test_the_mouth_of_a_folders_videos_is_plotted(run: Run, second: Path, tmp_path: Path) -> None:
    told = run("mouth_over_time", second, "--out", "plot.png").splitlines()
    assert told[0].startswith(f"left out: {second / 'notes.txt'}: cannot be opened as a video")
    assert told[1:] == ["plot.png"]
    with Image.open(tmp_path / "plot.png") as plot:
        colours = plot.convert("RGB").getcolors(plot.width * plot.height)
    assert colours is not None
    assert any(np.abs(np.subtract(colour, (31, 119, 180))).max() < 3 for _, colour in colours)  # the first line's


def test_a_live_loop_says_who_comes_and_where_noses_are(run: Run, second: Path) -> None:
    told = run("live_loop", second / "first.mp4").splitlines()
    assert re.fullmatch(r".*first\.mp4: 1280 x 720, on .+", told[0])
    assert told[1] == "     0.00 s  face 0 comes"
    assert re.fullmatch(r" +0\.00 s  noses 0: \(5\d\d, 3\d\d\); \d+ ms", told[2])
    assert re.fullmatch(r" +1\.00 s  noses 0: \(6\d\d, 3\d\d\); \d+ ms", told[3])
    assert len(told) == 4


def test_five_points_are_taught(run: Run, faces: list[FaceSample], tmp_path: Path) -> None:
    table = label_table(tmp_path / "labels.csv", faces[:4])
    told = run("teach_five_points", table, faces[4].image_path, "--recipe", "teach128", "--steps", 1).splitlines()
    assert told[-1] == str(Path("runs/five/model.safetensors"))
    assert f"{faces[4].image_path.name}: " in "\n".join(told)
    assert open_model(tmp_path / told[-1]).scheme.point_names == FIVE
    with Image.open(tmp_path / "runs/five/found.png") as drawn, Image.open(faces[4].image_path) as photo:
        assert drawn.size == photo.size


@pytest.mark.slow
def test_what_ten_pictures_taught_is_found_in_another(run: Run, faces: list[FaceSample], tmp_path: Path) -> None:
    table = label_table(tmp_path / "labels.csv", faces[:10])
    told = run("teach_five_points", table, faces[10].image_path, "--recipe", "teach128")
    number = r" +(-?[\d.]+)"
    found = np.array(
        [re.search(rf"{name}{number}{number} ", told).groups() for name in FIVE],  # type: ignore[union-attr]
        np.float32,
    )
    truth = five_of(faces[10].points)
    # A face that laughs, head bent, unlike the ten.
    assert np.linalg.norm(found - truth, axis=1).mean() < 0.15 * np.linalg.norm(truth[1] - truth[0])


def test_a_table_is_read_and_filtered(run: Run, face_tracker: FaceTracker, tmp_path: Path) -> None:
    with (
        open_source(demo_clip(), end_s=0.2) as source,
        OpenFaceCsvSink(tmp_path / "film.csv", face_tracker.model.scheme, "film.mp4") as sink,
    ):
        for frame in source:
            sink.write(face_tracker.process(frame))
    told = run("sure_landmarks", "film.csv", "--min", 0.9).splitlines()
    assert told[0].startswith("6 faces in 6 frames, on average 0.")
    assert told[-1] == "sure.csv"
    before, after = pd.read_csv(tmp_path / "film.csv"), pd.read_csv(tmp_path / "sure.csv")
    assert list(after.columns) == list(before.columns)
    kept = before[[f"c_{i}" for i in range(68)]].to_numpy() >= 0.9
    assert 0 < kept.mean() < 1
    for axis in "xy":
        columns = [f"{axis}_{i}" for i in range(68)]
        np.testing.assert_array_equal(after[columns].notna(), kept)
        np.testing.assert_array_equal(after[columns].to_numpy()[kept], before[columns].to_numpy()[kept])
