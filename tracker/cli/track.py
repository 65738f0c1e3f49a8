"""``fewmark track`` and ``fewmark demo``: sources in, tables and annotated videos out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.errors import FewmarkError
from tracker.cli.console import err, fail, graceful_stop, out, say, warn

if TYPE_CHECKING:
    from tracker.batch import JobReport, OutputChoice
    from tracker.config import TrackerConfig

DEFAULT_OVERLAYS = "contours,points,box"


def track(
    inputs: Annotated[
        list[str], typer.Argument(help="Videos, images, folders, patterns, cameras (0, camera:NAME), URLs.")
    ],
    output: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")],
    csv: Annotated[bool, typer.Option("--csv/--no-csv", help="OpenFace-compatible table.")] = True,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="One JSON object a frame.")] = False,
    video: Annotated[
        bool, typer.Option("--video", help="Annotated H.264 video, with the source's times and audio.")
    ] = False,
    overlays: Annotated[str, typer.Option(help="Comma-separated; what the video shows.")] = DEFAULT_OVERLAYS,
    model: Annotated[str | None, typer.Option(help="A shipped model's name or a model file.")] = None,
    backend: Annotated[str | None, typer.Option(help="What runs the network; auto picks.")] = None,
    detector: Annotated[str | None, typer.Option(help="short_range or full_range.")] = None,
    small_faces: Annotated[bool, typer.Option(help="Also look for faces that are small in the frame: slow.")] = False,
    max_faces: Annotated[int | None, typer.Option(min=1, help="Follow at most that many faces.")] = None,
    smooth: Annotated[bool | None, typer.Option("--smooth/--no-smooth", help="One-Euro filter over time.")] = None,
    start: Annotated[float | None, typer.Option(min=0, help="Begin at this time, s.")] = None,
    end: Annotated[float | None, typer.Option(min=0, help="Stop before this time, s.")] = None,
    film: Annotated[bool, typer.Option(help="A folder's images are consecutive frames, not separate photos.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Compute again what is already there.")] = False,
    config: Annotated[Path | None, typer.Option(help="Settings as TOML; the options above win.")] = None,
    model_dir: Annotated[Path | None, typer.Option(help="Folder with detector model files.")] = None,
) -> None:
    """Track faces in recorded or live sources.

    Run again with the same --out, a batch goes on where it stopped. Ctrl-C completes the file that is being written.
    """
    from tracker.batch import OutputChoice

    names = tuple(name.strip() for name in overlays.split(",") if name.strip())
    choice = OutputChoice(csv=csv, jsonl=jsonl, video=video, overlays=names)
    settings = _settings(config, model, backend, detector, small_faces, max_faces, smooth)
    if start is not None and end is not None and end <= start:
        raise FewmarkError(f"--end {end:g} does not lie after --start {start:g}")
    reports = _run(inputs, output, choice, settings, start, end, film, overwrite, model_dir)
    if reports is None:
        sys.exit(2)


def demo(
    output: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")] = Path("demo-output"),
    model: Annotated[str | None, typer.Option(help="A shipped model's name or a model file.")] = None,
    model_dir: Annotated[Path | None, typer.Option(help="Folder with detector model files.")] = None,
) -> None:
    """Track the bundled clip: a table and an annotated video, and where they are."""
    from tracker.assets import demo_clip
    from tracker.batch import OutputChoice

    choice = OutputChoice(csv=True, video=True, overlays=("heatmap", "contours", "confidence", "box"))
    settings = _settings(None, model, None, None, False, None, True)
    reports = _run([str(demo_clip())], output, choice, settings, None, None, False, True, model_dir)
    if reports is None:
        sys.exit(2)
    for path in reports[0].outputs:
        out.print(str(path.resolve()), soft_wrap=True, highlight=False)


def _settings(
    path: Path | None,
    model: str | None,
    backend: str | None,
    detector: str | None,
    small_faces: bool,
    max_faces: int | None,
    smooth: bool | None,
) -> TrackerConfig:
    """The settings file, if any, with the options that were given laid over it."""
    from dataclasses import replace

    from tracker.config import TrackerConfig
    from tracker.dataclass_toml import load_toml

    config = load_toml(TrackerConfig, path) if path else TrackerConfig()
    detection = replace(
        config.detection,
        detector=detector or config.detection.detector,
        tiles=small_faces or config.detection.tiles,
    )
    tracking = config.tracking if max_faces is None else replace(config.tracking, max_faces=max_faces)
    return replace(
        config,
        model=model or config.model,
        backend=backend or config.backend,
        smooth=config.smooth if smooth is None else smooth,
        detection=detection,
        tracking=tracking,
    )


def _run(
    inputs: list[str],
    output: Path,
    choice: OutputChoice,
    config: TrackerConfig,
    start_s: float | None,
    end_s: float | None,
    film: bool,
    overwrite: bool,
    model_dir: Path | None,
) -> list[JobReport] | None:
    """Runs all jobs; an input that fails is reported and the others go on. None: at least one failed."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from tracker.batch import plan_jobs, run_job
    from tracker.pipeline import open_tracker
    from tracker.types import SourceInfo, TrackingResult

    failures: list[str] = []
    reports: list[JobReport] = []
    jobs = plan_jobs(inputs)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with (
        open_tracker(config, model_dir=model_dir, report=say) as tracker,
        graceful_stop() as stop,
        Progress(*columns, TextColumn("{task.fields[status]}"), console=err, transient=True) as progress,
    ):
        choice.check(tracker)
        say(f"model {tracker.model.name}, backend {tracker.backend.name} ({tracker.backend.device})")
        for job in jobs:
            if stop():
                break
            task = progress.add_task(job.stem, total=None, status="")

            def on_open(info: SourceInfo, task: object = task) -> None:
                progress.update(task, total=info.frame_count)  # type: ignore[arg-type]

            def on_result(result: TrackingResult, task: object = task) -> None:
                status = f"{result.frame.time_s:.1f} s, {len(result.faces)} faces"
                progress.update(task, advance=1, status=status)  # type: ignore[arg-type]

            try:
                report = run_job(
                    job,
                    tracker,
                    choice,
                    output,
                    start_s=start_s,
                    end_s=end_s,
                    film=film,
                    overwrite=overwrite,
                    on_open=on_open,
                    on_result=on_result,
                    should_stop=stop,
                )
            except FewmarkError as error:
                failures.append(job.spec)
                fail(str(error))
                continue
            finally:
                progress.remove_task(task)
            reports.append(report)
            _tell(report)
    if stop():
        raise KeyboardInterrupt
    if failures:
        fail(f"{len(failures)} of {len(jobs)} inputs failed: {', '.join(failures)}")
        return None
    return reports


def _tell(report: JobReport) -> None:
    for warning in report.warnings:
        warn(warning)
    if report.already_done:
        say(f"{report.spec}: already done (--overwrite computes it again)")
        return
    share = f"a face in {report.frames_with_face} of {report.frames} frames"
    say(f"{report.spec}: {share}{'' if report.finished else '; stopped before its end'}")
