"""``fewmark bench``: what tracking costs on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.errors import FewmarkError
from tracker.cli.console import emit, err, out, say, warn

if TYPE_CHECKING:
    from rich.progress import Progress

    from tracker.bench import BenchReport, Environment, MemorySlope, SoakReport
    from tracker.config import TrackerConfig
    from tracker.types import SourceInfo

_MAX_OTHER_LOAD = 10.0  # % of all cores; above it, other programs change the figures


def bench(
    video: Annotated[
        Path | None, typer.Argument(help="A video file that shows a face; default: the demo clip.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="A shipped model's name or a model file.")] = None,
    backend: Annotated[str | None, typer.Option(help="What runs the network end to end; auto picks.")] = None,
    frames: Annotated[int, typer.Option(min=1, help="Frames of the video in every pass.")] = 300,
    repeat: Annotated[int, typer.Option(min=1, help="Passes of each kind, interleaved.")] = 3,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the figures there as well.")] = None,
    soak: Annotated[
        int | None, typer.Option(min=1000, metavar="FRAMES", help="Instead watch the memory over so many frames.")
    ] = None,
    annotate: Annotated[bool, typer.Option("--video", help="With --soak: write an annotated video as well.")] = False,
    model_dir: Annotated[Path | None, typer.Option(help="Folder with detector model files.")] = None,
) -> None:
    """Measure the stages of tracking, frames/s end to end, or the memory of a long run."""
    if annotate and soak is None:
        raise FewmarkError("--video belongs to --soak: end to end is measured with and without the video anyway")
    if json is not None and not json.absolute().parent.is_dir():
        raise FewmarkError(f"{json}: its folder does not exist; make it first")

    from dataclasses import replace

    from tracker.assets import demo_clip
    from tracker.config import TrackerConfig

    defaults = TrackerConfig()
    config = replace(defaults, model=model or defaults.model, backend=backend or defaults.backend)
    clip = video or demo_clip()
    if soak is None:
        _bench(config, clip, frames, repeat, json, model_dir)
    else:
        _soak(config, clip, soak, annotate, json, model_dir)


def _bench(
    config: TrackerConfig, video: Path, frames: int, repeat: int, json: Path | None, model_dir: Path | None
) -> None:
    from dataclasses import replace

    from tracker.bench import (
        BenchReport,
        OtherLoad,
        describe_environment,
        frames_to_run,
        measure,
        open_video,
        write_json,
    )

    info = open_video(video)
    environment = describe_environment()
    load = OtherLoad()
    with _progress() as progress:
        task = progress.add_task("opening", total=frames_to_run(info, frames, repeat))
        measurement = measure(
            config,
            video,
            frames=frames,
            repeat=repeat,
            model_dir=model_dir,
            report=say,
            on_frame=lambda name: progress.update(task, advance=1, description=name),
        )
    report = BenchReport(environment, replace(info, name=video.name), load.percent(), (measurement,))
    _print_bench(report)
    if json is not None:
        write_json(report, json)


def _soak(
    config: TrackerConfig, video: Path, frames: int, annotate: bool, json: Path | None, model_dir: Path | None
) -> None:
    from tracker.bench import describe_environment, soak, write_json

    environment = describe_environment()
    with _progress() as progress:
        task = progress.add_task("soak", total=frames)
        report = soak(
            config,
            video,
            frames,
            environment,
            annotate=annotate,
            model_dir=model_dir,
            report=say,
            on_frame=lambda: progress.update(task, advance=1),
        )
    _print_soak(report)
    if json is not None:
        write_json(report, json)


def _progress() -> Progress:
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    return Progress(*columns, console=err, transient=True)


def _print_bench(report: BenchReport) -> None:
    from rich.table import Table

    from tracker.bench import STAGES

    _print_environment(report.environment, report.video)
    for measured in report.measurements:
        emit(f"model {measured.model}, backend {measured.backend} ({measured.device}), detector {measured.detector}")
        stages = Table(
            "stage", "median ms", "10th..90th percentile", "of", caption="one thread; predict: the backend's"
        )
        for name, time in measured.stages.items():
            stages.add_row(name, f"{time.median_ms:.2f}", f"{time.p10_ms:.2f} .. {time.p90_ms:.2f}", STAGES[name])
        out.print(stages)
        whole = Table("end to end", "frames/s", "range", "runs", "frames", "faces a frame")
        for run in measured.end_to_end:
            whole.add_row(
                "video to " + " + ".join(run.outputs),
                f"{run.frames_per_s:.1f}",
                f"{min(run.runs_frames_per_s):.1f} .. {max(run.runs_frames_per_s):.1f}",
                str(measured.repeats),
                str(run.frames),
                f"{run.faces_per_frame:.2f}",
            )
        out.print(whole)
        for run in measured.end_to_end:
            parts = ", ".join(f"{name} {ms:.2f}" for name, ms in run.stage_ms.items())
            emit(f"in the tracker, ms a frame, video to {' + '.join(run.outputs)}: {parts}")
    _warn_of_load(report.other_load_percent)


def _print_soak(report: SoakReport) -> None:
    from rich.table import Table

    _print_environment(report.environment, report.video)
    emit(f"model {report.model}, backend {report.backend} ({report.device}), video to {' + '.join(report.outputs)}")
    table = Table("frames", "resident MB")
    for sample in report.memory:
        table.add_row(f"{sample.frames:,}", f"{sample.resident_mb:.1f}")
    out.print(table)
    emit(
        f"{report.frames:,} frames at {report.frames_per_s:.1f} frames/s, a face in {report.frames_with_face:,}; "
        f"after {report.warm_up_frames:,} to warm up: {_slope(report.slope)}"
    )
    _warn_of_load(report.other_load_percent)


def _slope(slope: MemorySlope) -> str:
    verdict = "memory grows" if slope.is_growth else "no growth"
    interval = f"95 % confidence {slope.low:+.2f} .. {slope.high:+.2f}"
    return f"{verdict}, {slope.mb_per_1000_frames:+.2f} MB per 1,000 frames ({interval})"


def _warn_of_load(percent: float) -> None:
    if percent > _MAX_OTHER_LOAD:
        warn(f"other programs used {percent:.0f} % of this machine meanwhile: free, it is faster")


def _print_environment(environment: Environment, video: SourceInfo) -> None:
    cores = (
        f"{environment.usable_cores} cores, torch threads: {environment.torch_threads}, {environment.memory_gb:g} GB"
    )
    emit(f"{environment.cpu}, {cores}; {environment.system}")
    versions = ", ".join(f"{name} {version}" for name, version in environment.versions.items())
    commit = f", commit {environment.commit}" if environment.commit else ""
    emit(f"Python {environment.python}, {versions}{commit}; {environment.date}")
    rate = f"{video.frame_rate:.4g} frames/s" if video.frame_rate else "no steady rate"
    emit(f"{video.name}: {video.width}x{video.height}, {rate}")
