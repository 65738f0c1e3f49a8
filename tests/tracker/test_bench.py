"""The benchmark on a short, small piece of the demo clip: its figures are there and make sense."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from models.errors import FewmarkError
from tracker.assets import demo_clip
from tracker.bench import (
    STAGES,
    BenchReport,
    MemorySample,
    OtherLoad,
    describe_environment,
    frames_to_run,
    measure,
    open_video,
    soak,
    write_json,
)
from tracker.bench.soak import memory_slope, played_over_and_over
from tracker.config import TrackerConfig
from tracker.sources import open_source
from tracker.types import ImageArray

FRAMES = 6  # of the clip
EAGER = TrackerConfig(backend="eager")


def write_clip(path: Path, images: list[ImageArray]) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": "18", "preset": "veryfast"})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, 30)
        for i, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo clip's first frames at 320 x 180."""
    with open_source(demo_clip()) as source:
        images = [
            np.asarray(cv2.resize(frame.image, (320, 180), interpolation=cv2.INTER_AREA), np.uint8)
            for frame in islice(source, FRAMES)
        ]
    return write_clip(tmp_path_factory.mktemp("bench") / "clip.mp4", images)


def run_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from tracker.cli import main; main()", "bench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)


def test_every_figure_is_there(clip: Path, tmp_path: Path) -> None:
    passed: list[str] = []
    environment, load = describe_environment(), OtherLoad()
    measurement = measure(EAGER, clip, frames=8, repeat=2, warm_up=2, on_frame=passed.append)

    assert list(measurement.stages) == list(STAGES)
    for time in measurement.stages.values():
        assert 0 < time.p10_ms <= time.median_ms <= time.p90_ms
        assert time.samples == 2 * 8
    assert [run.outputs for run in measurement.end_to_end] == [("csv",), ("csv", "video")]
    for run in measurement.end_to_end:
        assert min(run.runs_frames_per_s) <= run.frames_per_s <= max(run.runs_frames_per_s)
        assert len(run.runs_frames_per_s) == measurement.repeats == 2
        assert run.frames == FRAMES  # the video has no more
        assert run.faces_per_frame == pytest.approx(1)
        assert {"detect", "crop", "network"} <= set(run.stage_ms)
        assert all(math.isfinite(ms) and ms > 0 for ms in run.stage_ms.values())
    assert measurement.model == EAGER.model
    assert measurement.backend == "eager"

    info = open_video(clip)
    assert len(passed) == frames_to_run(info, 8, 2, 2)
    assert list(dict.fromkeys(passed)) == ["warm-up", "stages", "end to end, csv", "end to end, csv + video"]

    path = tmp_path / "bench.json"
    write_json(BenchReport(environment, info, load.percent(), (measurement,)), path)
    read = json.loads(path.read_text(encoding="utf-8"))
    assert read["format"] == "fewmark-bench"
    assert read["environment"]["cpu"] == environment.cpu != ""
    assert read["environment"]["versions"]["torch"]
    assert 0 <= read["other_load_percent"] <= 100
    assert read["video"]["width"] == 320
    assert read["measurements"][0]["stages"]["network"]["median_ms"] == measurement.stages["network"].median_ms
    assert read["measurements"][0]["end_to_end"][1]["frames_per_s"] == measurement.end_to_end[1].frames_per_s


def test_a_video_without_a_face_is_refused(tmp_path: Path) -> None:
    grey = write_clip(tmp_path / "grey.mp4", [np.full((64, 64, 3), 90, np.uint8)] * 3)
    with pytest.raises(FewmarkError, match=r"grey\.mp4: no face in 2 frames"):
        measure(EAGER, grey, frames=2, repeat=1, warm_up=1)


def test_a_bad_video_ends_the_command_with_exit_code_2(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("not a video")
    run = run_command(str(text))
    assert run.returncode == 2
    assert "text.mp4: cannot be opened as a video" in run.stderr
    assert "Traceback" not in run.stderr
    assert run.stdout == ""


def test_options_that_can_not_work_are_refused_before_measuring(clip: Path, tmp_path: Path) -> None:
    run = run_command(str(clip), "--json", str(tmp_path / "nowhere" / "bench.json"))
    assert run.returncode == 2
    assert "its folder does not exist" in run.stderr
    run = run_command(str(clip), "--video")
    assert run.returncode == 2
    assert "--video belongs to --soak" in run.stderr


def test_looped_frames_go_on_rising(clip: Path) -> None:
    frames = list(played_over_and_over(clip, 2 * FRAMES + 3))
    assert [frame.index for frame in frames] == list(range(2 * FRAMES + 3))
    steps = [b.time_s - a.time_s for a, b in pairwise(frames)]
    assert steps == pytest.approx([1 / 30] * len(steps), abs=1e-3)


def test_the_slope_of_memory() -> None:
    frames = range(500, 1001, 5)
    rising = memory_slope([MemorySample(i, 200 + i * 0.004) for i in frames])
    assert (rising.mb_per_1000_frames, rising.low, rising.high) == pytest.approx((4, 4, 4))
    assert rising.is_growth
    level = memory_slope([MemorySample(i, 200.0) for i in frames])
    assert level.mb_per_1000_frames == 0
    assert not level.is_growth


def test_steps_of_memory_that_come_and_go_are_no_growth() -> None:
    rng = np.random.default_rng(0)
    found = []
    for _ in range(200):
        steps = np.repeat(rng.normal(0, 1, 34), 3)[:100]  # each level lasts for three samples
        slope = memory_slope([MemorySample(5 * i, 200 + float(mb)) for i, mb in enumerate(steps)])
        found.append(slope.low <= 0 <= slope.high)
    assert np.mean(found) > 0.9


@pytest.mark.slow
def test_memory_stays_flat(clip: Path, tmp_path: Path) -> None:
    report = soak(EAGER, clip, 2000, describe_environment(), annotate=True)
    assert [sample.frames for sample in report.memory] == [200 * i for i in range(1, 11)]
    assert all(sample.resident_mb > 0 for sample in report.memory)
    assert report.frames_with_face == 2000
    assert report.warm_up_frames == 1000
    assert report.slope.low < 1  # one 320 x 180 frame kept in 170 would be more
    write_json(report, tmp_path / "soak.json")
    assert json.loads((tmp_path / "soak.json").read_text(encoding="utf-8"))["format"] == "fewmark-soak"
