"""``fewmark track`` and ``fewmark demo`` as a user starts them: files, messages, exit codes."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.audio.frame import AudioFrame
from typer.testing import CliRunner

from tracker.cli import app
from tracker.files.assets import demo_clip

ROOT = Path(__file__).resolve().parents[3]
TIMEOUT_S = 300.0  # a loaded machine needs long to import torch
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "tracker", *map(str, arguments)]


def fewmark(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        cwd=cwd,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=TIMEOUT_S,
    )


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_sound(path: Path) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=16_000, layout="mono")
        silence = AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 16_000
        container.mux(stream.encode(silence))
        container.mux(stream.encode(None))


def write_cut_off_video(path: Path) -> None:
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=25, options={"g": "10"})
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        rng = np.random.default_rng(0)
        for _ in range(40):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rng.integers(0, 255, (96, 160, 3), np.uint8))))
        container.mux(stream.encode(None))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def test_the_demo_tracks_its_clip_and_says_where_the_files_are(tmp_path: Path) -> None:
    run = fewmark("demo", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    out = tmp_path / "demo-output"
    stem = demo_clip().stem
    assert run.stdout.splitlines() == [str(out / f"{stem}.csv"), str(out / f"{stem}.annotated.mp4")]
    table = rows(out / f"{stem}.csv")
    assert {int(row["frame"]) for row in table} == set(range(1, 313))
    assert len({row["frame"] for row in table if row["success"] == "1"}) > 0.95 * 312
    with av.open(str(out / f"{stem}.annotated.mp4")) as container:
        (stream,) = container.streams.video
        assert (stream.width, stream.height, stream.frames) == (1280, 720, 312)
    assert "a face in 3" in run.stderr


def test_bad_inputs_are_named_and_hold_up_no_other(tmp_path: Path) -> None:
    inputs = tmp_path / "inputs"
    (inputs / "empty folder").mkdir(parents=True)
    (inputs / "text.mp4").write_text("this is no video")
    (inputs / "zero.png").touch()
    write_sound(inputs / "sound.mp4")
    write_cut_off_video(inputs / "cut.mp4")
    cv2.imwrite(str(inputs / "dot [1].png"), np.zeros((1, 1, 3), np.uint8))
    shutil.copy(demo_clip(), inputs / "good.mp4")
    names = ["missing.mp4", "*.mkv", "empty folder", "text.mp4", "zero.png", "sound.mp4", "cut.mp4", "dot [1].png"]
    run = fewmark("track", *names, "good.mp4", "--out", "../out", "--end", 0.2, "--backend", "eager", cwd=inputs)

    assert run.returncode == 2
    assert "Traceback" not in run.stderr
    errors = [line for line in run.stderr.splitlines() if line.startswith("error: ")]
    for name, message in {
        "missing.mp4": "no such file or folder",
        "*.mkv": "no such file or folder",
        "empty folder": "no images in this folder",
        "text.mp4": "cannot be opened as a video",
        "zero.png": "the file is empty",
        "sound.mp4": "no video stream (found: audio/aac)",
    }.items():
        assert [line for line in errors if line.startswith(f"error: {name}: {message}")], errors
    assert errors[-1].startswith("error: 6 of 9 inputs failed: missing.mp4, *.mkv, ")
    assert len(errors) == 7
    assert run.stdout.splitlines() == [str(tmp_path / "out" / f"{stem}.csv") for stem in ("cut", "dot [1]", "good")]
    assert [row["success"] for row in rows(tmp_path / "out" / "good.csv")] == ["1"] * 6
    assert len(rows(tmp_path / "out" / "cut.csv")) == 5


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends Ctrl-C to the whole console, this test included")
def test_ctrl_c_completes_the_files_that_are_being_written(tmp_path: Path) -> None:
    for name in ("first.mp4", "second.mp4"):
        shutil.copy(demo_clip(), tmp_path / name)
    out = tmp_path / "out"
    arguments = ("track", "first.mp4", "second.mp4", "--out", out, "--video", "--backend", "eager")
    run = subprocess.Popen(
        command(*arguments), cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + TIMEOUT_S
    table = out / "first.csv"
    while not (table.exists() and table.read_bytes().count(b"\n") > 5):
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    run.send_signal(signal.SIGINT)
    stdout, stderr = run.communicate(timeout=TIMEOUT_S)

    assert run.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert "stopping: completing the files" in stderr
    assert stderr.endswith("error: stopped\n")
    assert stdout.splitlines() == [str(table), str(out / "first.annotated.mp4")]
    written = rows(table)
    assert 5 <= len(written) < 312
    with av.open(str(out / "first.annotated.mp4")) as container:
        assert container.streams.video[0].frames == len(written)
    assert sorted(path.name for path in out.iterdir()) == ["first.annotated.mp4", "first.csv"]


def test_a_batch_is_resumed(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        shutil.copy(demo_clip(), tmp_path / name)
    arguments = ["track", str(tmp_path), "--out", str(tmp_path), "--end", "0.1", "--backend", "eager", "--video"]
    first = CliRunner().invoke(app, arguments)
    assert (first.exit_code, first.stderr.count("a face in 3 of 3 frames")) == (0, 2), first.output
    (tmp_path / "b.fewmark.json").unlink()
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 0
    assert f"{tmp_path / 'a.mp4'}: already done" in again.stderr
    assert f"{tmp_path / 'b.mp4'}: a face in 3 of 3 frames" in again.stderr
    assert again.stdout == first.stdout  # the same files


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--no-csv"], "nothing to write"),
        (["--video", "--overlays", "points,sparkles"], "overlay 'sparkles' is unknown"),
        (["--overlays", "points"], "add --video"),
        (["--start", "2", "--end", "1"], "end 1 s is not after start 2 s"),
        (["--seconds", "0"], "no duration"),
        (["--model", "nobody"], "neither a shipped model"),
        (["--detector", "nose"], "detector 'nose' is unknown"),
        (["--config", "missing.toml"], "missing.toml: not a readable TOML file"),
    ],
)
def test_wrong_options_are_one_line_and_code_2(tmp_path: Path, arguments: list[str], message: str) -> None:
    run = CliRunner().invoke(app, ["track", str(demo_clip()), "--out", str(tmp_path / "out"), *arguments])
    assert run.exit_code == 2
    assert run.stdout == ""
    (line,) = run.stderr.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert not (tmp_path / "out").exists()


def test_arguments_that_do_not_parse_are_code_2(tmp_path: Path) -> None:
    for arguments in (["track"], ["track", "a.mp4"], ["track", "a.mp4", "--out", str(tmp_path), "--max-faces", "0"]):
        run = CliRunner().invoke(app, arguments)
        assert run.exit_code == 2
        assert "Usage: " in run.stderr


def test_tracking_loads_nothing_that_it_does_not_use(tmp_path: Path) -> None:
    unused = {"matplotlib", "sounddevice", "sympy", "torch._dynamo", "torch._inductor", "onnx", "scipy", "PyQt6"}
    code = (
        "import sys; from typer.testing import CliRunner; from tracker.cli import app;"
        f"run = CliRunner().invoke(app, sys.argv[1:]); print(run.exit_code, {unused} & sys.modules.keys())"
    )
    arguments = ["track", demo_clip(), "--end", "0.1", "--backend", "eager", "--out", tmp_path]
    run = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert run.stdout.strip() == "0 set()", run.stderr
