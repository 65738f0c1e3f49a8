"""``fewmark bench``: what tracking costs on this machine."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.errors import FewmarkError
from tracker.cli.console import emit, err, out, say, warn

if TYPE_CHECKING:
    from rich.progress import Progress

    from tracker.bench import BenchPlan, BenchReport, Environment, MemorySlope, Peer, SoakReport, Table
    from tracker.config import TrackerConfig
    from tracker.types import SourceInfo

_MAX_OTHER_LOAD = 10.0  # % of all cores; above it, other programs change the figures


def bench(
    video: Annotated[
        Path | None, typer.Argument(help="A video file that shows a face; default: the demo clip.")
    ] = None,
    models: Annotated[
        str | None,
        typer.Option("--models", "--model", metavar="NAMES", help="Models or model files, comma-separated."),
    ] = None,
    backends: Annotated[
        str | None,
        typer.Option(
            "--backends", "--backend", metavar="NAMES", help="Backends, comma-separated.  [default: all that run here]"
        ),
    ] = None,
    peers: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Other trackers to measure in the same run: mediapipe.")
    ] = None,
    frames: Annotated[int, typer.Option(min=1, help="Frames of the video in every pass.")] = 200,
    repeat: Annotated[int, typer.Option(min=1, help="Rounds, interleaved.")] = 3,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the figures there as well.")] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.md", help="Write them as a page of Markdown as well.")
    ] = None,
    soak: Annotated[
        int | None, typer.Option(min=1000, metavar="FRAMES", help="Instead watch the memory over so many frames.")
    ] = None,
    annotate: Annotated[bool, typer.Option("--video", help="With --soak: write an annotated video as well.")] = False,
    model_dir: Annotated[Path | None, typer.Option(help="Folder with detector model files, and peers'.")] = None,
) -> None:
    """Measure networks, stages and frames/s end to end, or the memory of a long run."""
    if annotate and soak is None:
        raise FewmarkError("--video belongs to --soak: end to end is measured with and without the video anyway")
    if soak is not None and (report is not None or peers is not None):
        raise FewmarkError("--soak only watches memory: leave out --report and --peers")
    for option, path in (("--json", json), ("--report", report)):
        if path is not None and not path.absolute().parent.is_dir():
            raise FewmarkError(f"{path}: its folder does not exist; make it first, or choose another {option}")

    from tracker.bench import BenchPlan, open_video
    from tracker.files.assets import demo_clip

    clip = video or demo_clip()
    open_video(clip)  # before anything that takes a while
    if soak is None:
        plan = BenchPlan(frames=frames, repeat=repeat)
        measured = _measure(_names(models), _names(backends), _names(peers), clip, plan, model_dir)
        _print_bench(measured)
        _write(measured, json, report)
    else:
        _soak(_only_config(_names(models), _names(backends)), clip, soak, annotate, json, model_dir)


def _names(option: str | None) -> list[str]:
    return [name.strip() for name in (option or "").split(",") if name.strip()]


def _only_config(models: list[str], backends: list[str]) -> TrackerConfig:
    from dataclasses import replace

    from tracker.config import TrackerConfig

    if max(len(models), len(backends)) > 1:
        raise FewmarkError("--soak watches one model on one backend: name one of each at most")
    config = TrackerConfig()
    return replace(
        config, model=models[0] if models else config.model, backend=backends[0] if backends else config.backend
    )


def _configs(models: list[str], backends: list[str]) -> tuple[list[TrackerConfig], list[str]]:
    """Every model with every backend, the best first, and why any was left out."""
    from dataclasses import replace

    from models.registry import open_model
    from tracker.backends import BACKENDS, survey
    from tracker.config import TrackerConfig

    config = TrackerConfig()
    unknown = [name for name in backends if name not in BACKENDS]
    if unknown:
        raise FewmarkError(f"backend {unknown[0]!r} is unknown; choose from {', '.join(BACKENDS)}")
    configs: list[TrackerConfig] = []
    left_out: list[str] = []
    for model in dict.fromkeys(models or [config.model]):
        chosen = [name for name in BACKENDS if name in backends]
        if not backends:
            rungs = list(survey(open_model(model)))
            chosen = [rung.backend for rung in rungs if rung.device]
            left_out += [f"{model} on {rung.backend}: {rung.reason}" for rung in rungs if not rung.device]
        configs += [replace(config, model=model, backend=name) for name in chosen]
    return configs, left_out


def _open_peers(names: list[str], model_dir: Path | None) -> tuple[dict[str, Peer], list[str]]:
    """Those that can be measured, and why the others can't."""
    from tracker.bench import PEERS

    peers: dict[str, Peer] = {}
    missing: list[str] = []
    for name in names:
        if name not in PEERS:
            raise FewmarkError(f"peer {name!r} is unknown; choose from {', '.join(PEERS)}")
        try:
            peers[name] = PEERS[name](model_dir)
        except FewmarkError as error:  # the rest is measured all the same
            missing.append(str(error))
    return peers, missing


def _measure(
    models: list[str], backends: list[str], peers: list[str], video: Path, plan: BenchPlan, model_dir: Path | None
) -> BenchReport:
    from dataclasses import replace

    from tracker.bench import BenchReport, OtherLoad, describe_environment, measure, open_video, steps_of

    opened, missing = _open_peers(peers, model_dir)
    configs, left_out = _configs(models, backends)
    for reason in (*left_out, *missing):
        say(f"left out: {reason}")
    info = open_video(video)
    environment = describe_environment()
    load = OtherLoad()
    with _progress() as progress:
        task = progress.add_task("opening", total=steps_of(configs, len(opened), info, plan))
        results = measure(
            configs,
            video,
            plan,
            peers=opened,
            model_dir=model_dir,
            report=say,
            on_step=lambda name: progress.update(task, advance=1, description=name),
        )
    return BenchReport(
        command=_command(),
        environment=environment,
        video=replace(info, name=video.name),
        other_load_percent=load.percent(),
        results=results,
        left_out=(*left_out, *missing),
    )


def _command() -> str:
    """What was typed, without the folders of this machine."""
    arguments = [Path(argument).name if Path(argument).is_absolute() else argument for argument in sys.argv[1:]]
    return shlex.join(["fewmark", *arguments])


def _write(measured: BenchReport, json: Path | None, page: Path | None) -> None:
    from tracker.bench import write_json, write_markdown

    if json is not None:
        write_json(measured, json)
    if page is not None:
        write_markdown(measured, page)


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
    from tracker.bench import tables_of

    _print_environment(report.environment, report.video)
    for table in tables_of(report):
        _print_table(table)
    _warn_of_load(report.other_load_percent)


def _print_table(table: Table) -> None:
    import rich.table

    shown = rich.table.Table(
        *table.headings, title=table.title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0)
    )
    for row in table.rows:
        shown.add_row(*row)
    out.print()
    out.print(shown)
    if table.note:
        emit(table.note)


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
    from tracker.bench import environment_lines

    for line in environment_lines(environment, video):
        emit(line)
