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
import torch
from torch import Tensor, nn

from models.errors import FewmarkError
from models.registry import open_model
from models.surgery.folding import fold_batch_norm
from tracker.bench import (
    PEERS,
    STAGES,
    BenchPlan,
    BenchReport,
    MemorySample,
    OtherLoad,
    describe_environment,
    measure,
    open_video,
    soak,
    steps_of,
    write_json,
    write_markdown,
)
from tracker.bench.limits import ModelCost, Peak, model_cost, shortest_ms
from tracker.bench.network import CALLS
from tracker.bench.soak import memory_slope, played_over_and_over
from tracker.config import TrackerConfig
from tracker.files.assets import demo_clip
from tracker.sources import open_source
from tracker.types import ImageArray

FRAMES = 6  # of the clip
EAGER = TrackerConfig(backend="eager")
PLAN = BenchPlan(frames=8, repeat=2, warm_up=2, batches=(1, 2))
STEPS: list[str] = []


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


@pytest.fixture(scope="module")
def report(clip: Path) -> BenchReport:
    """Two short rounds of one model on one backend, and how often each pass told of a step."""
    environment, load, info = describe_environment(), OtherLoad(), open_video(clip)
    results = measure([EAGER], clip, PLAN, peers={"counting": CountingPeer()}, on_step=STEPS.append)
    return BenchReport("fewmark bench clip.mp4", environment, info, load.percent(), results, ("a: not installed",))


class CountingPeer:
    """Finds one face in every frame, wherever it is."""

    def __init__(self) -> None:
        self.opened = 0
        self.last_s = 0.0

    def open(self, max_faces: int) -> None:
        self.opened += 1
        self.last_s = -1.0

    def track(self, image: ImageArray, time_s: float) -> int:
        assert image.shape == (180, 320, 3)
        assert time_s > self.last_s
        self.last_s = time_s
        return 1

    def close(self) -> None:
        """Holds nothing."""


def test_every_figure_is_there(report: BenchReport, clip: Path) -> None:
    (measured,) = report.results.measurements
    assert list(measured.stages) == list(STAGES)
    for time in measured.stages.values():
        assert 0 < time.p10_ms <= time.median_ms <= time.p90_ms
        assert time.samples == PLAN.repeat * PLAN.frames
    assert [run.outputs for run in measured.end_to_end] == [("csv",), ("csv", "video")]
    for run in measured.end_to_end:
        assert min(run.runs_frames_per_s) <= run.frames_per_s <= max(run.runs_frames_per_s)
        assert len(run.runs_frames_per_s) == measured.repeats == PLAN.repeat
        assert run.frames == FRAMES  # the video has no more
        assert run.faces_per_frame == pytest.approx(1)
        assert {"detect", "crop", "network"} <= set(run.stage_ms)
        assert all(math.isfinite(ms) and ms > 0 for ms in run.stage_ms.values())
    assert (measured.model, measured.backend) == (EAGER.model, "eager")
    assert len(STEPS) == steps_of([EAGER], 1, open_video(clip), PLAN)
    passes = ["warm-up", "network", "stages", "end to end, csv", "end to end, csv + video", "peers"]
    assert list(dict.fromkeys(STEPS)) == passes


def test_the_network_is_measured_against_what_the_machine_can_do(report: BenchReport) -> None:
    (measured,), (cost,), (peak,) = report.results.measurements, report.results.costs, report.results.peaks
    assert (peak.dtype, measured.device.startswith("CPU")) == ("float32", peak.device == "cpu")
    assert [time.batch for time in measured.network] == list(PLAN.batches)
    for time in measured.network:
        assert 0 < time.p10_ms <= time.median_ms <= time.p90_ms
        assert time.samples == PLAN.repeat * CALLS
        assert time.faces_per_s == pytest.approx(1000 * time.batch / time.median_ms, abs=0.06)
        assert time.limit_ms is not None
        assert time.limit_ms >= 1000 * time.batch * cost.flops / (peak.tflops * 1e12) * 0.99
        assert time.share_of_limit == pytest.approx(time.limit_ms / time.median_ms, abs=1e-3)


def test_the_cost_of_a_network_is_counted_by_hand() -> None:
    model = open_model("fine256")
    macs = parameters = 0

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal macs, parameters
        parameters += sum(p.numel() for p in layer.parameters())
        if isinstance(layer, nn.BatchNorm2d):  # one that can't be folded: weights, but no products of matrices
            return
        weight = layer.weight
        assert isinstance(weight, Tensor)
        if isinstance(layer, nn.ConvTranspose2d):  # each input value meets the whole kernel
            macs += inputs[0][0, 0].numel() * weight.numel()
        else:
            macs += (output[0, 0].numel() if output.dim() == 4 else 1) * weight.numel()

    network = fold_batch_norm(model.network)
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, nn.BatchNorm2d)):
            layer.register_forward_hook(count)
    with torch.no_grad():
        network(torch.zeros(1, 3, 256, 256))
    cost = model_cost(model)
    assert cost.flops == 2 * macs
    assert cost.parameters == parameters


def test_the_limit_is_arithmetic_or_memory() -> None:
    cost = ModelCost("m", flops=2_000_000_000, parameters=10_000_000, io_values=0)
    quick = Peak("cpu", "float32", tflops=1.0, copy_gb_per_s=1000.0)
    assert shortest_ms(cost, quick, 1) == pytest.approx(2.0)
    assert shortest_ms(cost, quick, 4) == pytest.approx(8.0)
    slow_memory = Peak("cuda", "float16", tflops=1000.0, copy_gb_per_s=10.0)
    assert shortest_ms(cost, slow_memory, 1) == pytest.approx(2.0)  # 20 MB of weights
    assert shortest_ms(cost, slow_memory, 8) == pytest.approx(2.0)


def test_reports_hold_what_was_measured(report: BenchReport, tmp_path: Path) -> None:
    write_json(report, tmp_path / "bench.json")
    read = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    assert read["format"] == "fewmark-bench"
    assert read["environment"]["cpu"] == report.environment.cpu != ""
    assert read["environment"]["versions"]["torch"]
    assert 0 <= read["other_load_percent"] <= 100
    assert read["video"]["width"] == 320
    (measured,) = report.results.measurements
    stored = read["results"]["measurements"][0]
    assert stored["stages"]["network"]["median_ms"] == measured.stages["network"].median_ms
    assert stored["network"][1]["batch"] == PLAN.batches[1]
    assert stored["end_to_end"][1]["frames_per_s"] == measured.end_to_end[1].frames_per_s
    assert read["results"]["peers"][0]["faces_per_frame"] == 1

    write_markdown(report, tmp_path / "bench.md")
    page = (tmp_path / "bench.md").read_text(encoding="utf-8")
    assert page.startswith(f"# {report.environment.date[:10]}, commit ")
    assert "`fewmark bench clip.mp4`" in page
    assert report.environment.cpu in page
    assert "- left out: a: not installed" in page
    for heading in ("## End to end", "## In the tracker", "## Network alone", "## Stages alone", "## Peers"):
        assert heading in page
    rate = f"{measured.end_to_end[1].frames_per_s:.1f}"
    assert any(
        line.startswith(f"| {EAGER.model} | eager | video to csv + video | {rate} |") for line in page.split("\n")
    )
    for block in page.split("\n\n"):
        if block.startswith("|"):
            assert len({row.count("|") for row in block.splitlines()}) == 1


def test_a_peer_whose_model_is_missing_or_damaged_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracker.bench.peers.cache_directory", lambda: tmp_path / "cache")
    with pytest.raises(FewmarkError, match=r"peer mediapipe: no face_landmarker\.task in .*cache; download"):
        PEERS["mediapipe"](None)
    (tmp_path / "face_landmarker.task").write_text("no model")
    with pytest.raises(
        FewmarkError, match=r"peer mediapipe: face_landmarker\.task can't be used .*; download it again"
    ):
        PEERS["mediapipe"](tmp_path)


def test_a_video_without_a_face_is_refused(tmp_path: Path) -> None:
    grey = write_clip(tmp_path / "grey.mp4", [np.full((64, 64, 3), 90, np.uint8)] * 3)
    with pytest.raises(FewmarkError, match=r"grey\.mp4: no face in its first"):
        measure([EAGER], grey, BenchPlan(frames=2, repeat=1, warm_up=1))


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
    run = run_command(str(clip), "--peers", "openface")
    assert run.returncode == 2
    assert "peer 'openface' is unknown; choose from mediapipe" in run.stderr
    run = run_command(str(clip), "--soak", "1000", "--models", "fine256,fast128")
    assert run.returncode == 2
    assert "--soak watches one model on one backend" in run.stderr


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
