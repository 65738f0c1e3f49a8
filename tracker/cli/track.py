"""``fewmark track`` and ``fewmark demo``: sources in, tables and annotated videos out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.errors import FewmarkError
from tracker.cli.console import emit, err, fail, graceful_stop, say, warn
from tracker.cli.option_groups import with_option_groups
from tracker.cli.options import BACKEND_HELP
from tracker.machine.loading import loading

if TYPE_CHECKING:
    from rich.progress import Progress

    from tracker.batch import JobReport, OutputChoice, Selection
    from tracker.config import TrackerConfig
    from tracker.types import SourceInfo, TrackingResult

_DEFAULT_OVERLAYS = "contours,points,box"

_Out = Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Folder for the results.")]
_Model = Annotated[
    str | None, typer.Option(metavar="NAME|FILE", help="A shipped model (see fewmark models) or a model file.")
]
_ModelDir = Annotated[Path | None, typer.Option(metavar="FOLDER", help="Folder with detector model files.")]


@dataclass(frozen=True, slots=True)
class _Files:
    """What is written of every source."""

    csv: Annotated[bool, typer.Option("--csv/--no-csv", help="OpenFace-compatible table.")] = True
    jsonl: Annotated[bool, typer.Option("--jsonl", help="One JSON object per frame.")] = False
    video: Annotated[
        bool,
        typer.Option("--video", help="Annotated H.264 video with the source's times and audio; of photos, images."),
    ] = False
    overlays: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="What --video shows, comma-separated: heatmap, contours, box, ids, points, confidence, "
            "reconstruction (in insets), reconstruction_in_place, reconstruction_beside.  "
            f"[default: {_DEFAULT_OVERLAYS}]",
        ),
    ] = None

    def choice(self) -> OutputChoice:
        """Raises FewmarkError where the options contradict each other."""
        if self.overlays is not None and not self.video:
            raise FewmarkError("--overlays says what the annotated video shows; add --video")
        from tracker.batch import OutputChoice

        shown = (_DEFAULT_OVERLAYS if self.overlays is None else self.overlays).split(",")
        names = tuple(name.strip() for name in shown if name.strip())
        return OutputChoice(csv=self.csv, jsonl=self.jsonl, video=self.video, overlays=names)


@dataclass(frozen=True, slots=True)
class _Tracking:
    """How faces are found and followed; None and False: as the settings file has it."""

    model: _Model = None
    backend: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=BACKEND_HELP,
        ),
    ] = None
    detector: Annotated[
        str | None, typer.Option(metavar="NAME", help="auto, short_range, full_range or centerface.  [default: auto]")
    ] = None
    small_faces: Annotated[
        bool, typer.Option("--small-faces", help="Look for faces half as small as otherwise, in every look: slow.")
    ] = False
    max_faces: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Keep at most N faces.  [default: 20 in videos, all in photos]"),
    ] = None
    smooth: Annotated[bool | None, typer.Option("--smooth/--no-smooth", help="One-Euro filter over time.")] = None

    def config(self, path: Path | None) -> TrackerConfig:
        """The settings file, if any, with the options that were given laid over it."""
        from tracker.config import TrackerConfig
        from tracker.files.dataclass_toml import load_toml

        config = load_toml(TrackerConfig, path) if path else TrackerConfig()
        detection = replace(
            config.detection,
            detector=self.detector or config.detection.detector,
            small_faces=self.small_faces or config.detection.small_faces,
        )
        tracking = config.tracking if self.max_faces is None else replace(config.tracking, max_faces=self.max_faces)
        return replace(
            config,
            model=self.model or config.model,
            backend=self.backend or config.backend,
            smooth=config.smooth if self.smooth is None else self.smooth,
            detection=detection,
            tracking=tracking,
        )


@dataclass(frozen=True, slots=True)
class _Part:
    """Which frames of a source."""

    start: Annotated[float | None, typer.Option(metavar="SECONDS", min=0, help="Begin at this time of a file.")] = None
    end: Annotated[float | None, typer.Option(metavar="SECONDS", min=0, help="Stop before this time of a file.")] = None
    seconds: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Stop after so long, cameras and streams too.")
    ] = None
    film: Annotated[
        float | None,
        typer.Option(metavar="RATE", help="A folder's images are a film at RATE frames/s, not single photos."),
    ] = None

    def selection(self) -> Selection:
        from tracker.batch import Selection

        return Selection(start_s=self.start, end_s=self.end, seconds=self.seconds, film_rate=self.film)


@with_option_groups
def track(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Videos, images, folders, patterns, cameras (0, camera:NAME), addresses (rtsp://...).",
        ),
    ],
    output: _Out,
    *,
    files: _Files,
    tracking: _Tracking,
    part: _Part,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Compute again what is already there, and replace it.")
    ] = False,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settings as TOML; the options above win.")
    ] = None,
    model_dir: _ModelDir = None,
) -> None:
    """Track faces in recorded or live sources.

    Run again with the same --out, a batch goes on where it stopped. Ctrl-C completes the files that are being written.
    An input that fails does not hold up the others. Exit code: 0 all done, 2 an input failed, 130 after Ctrl-C.
    """
    with loading():
        choice, selection, settings = files.choice(), part.selection(), tracking.config(config)
    _run(inputs, output, choice, selection, settings, overwrite=overwrite, model_dir=model_dir)


def demo(output: _Out = Path("demo-output"), model: _Model = None, model_dir: _ModelDir = None) -> None:
    """Track the bundled clip: a table and an annotated video."""
    with loading():
        from tracker.batch import OutputChoice, Selection
        from tracker.files.assets import demo_clip

    choice = OutputChoice(csv=True, video=True, overlays=("heatmap", "contours", "confidence", "box"))
    settings = _Tracking(model=model, smooth=True).config(None)
    _run([str(demo_clip())], output, choice, Selection(), settings, overwrite=True, model_dir=model_dir)


def _run(
    inputs: list[str],
    output: Path,
    choice: OutputChoice,
    selection: Selection,
    config: TrackerConfig,
    *,
    overwrite: bool,
    model_dir: Path | None,
) -> None:
    """Runs all jobs and prints the files they made; an input that fails is reported and the others go on.

    Raises:
        typer.Exit: at least one failed.
        KeyboardInterrupt: the user stopped it.
    """
    with loading():
        from tracker.batch import plan_jobs, run_job
        from tracker.following.pipeline import open_tracker

        jobs = plan_jobs(inputs)
        opened = open_tracker(config, model_dir=model_dir, report=say)
    failed: list[str] = []
    outputs: list[Path] = []
    with opened as tracker, graceful_stop() as stop, _progress() as progress:
        choice.check(tracker)
        track_one = partial(
            run_job,
            tracker=tracker,
            choice=choice,
            out=output,
            selection=selection,
            overwrite=overwrite,
            should_stop=stop,
        )
        say(f"model {tracker.model.name}, backend {tracker.backend.name} ({tracker.backend.device})")
        for number, job in enumerate(jobs, start=1):
            if stop():
                break
            which = f"{number}/{len(jobs)} " if len(jobs) > 1 else ""
            try:
                with _shown(progress, f"{which}{job.stem}", selection) as (on_open, on_result):
                    report = track_one(job, on_open=on_open, on_result=on_result)
            except FewmarkError as error:
                failed.append(job.name)
                fail(str(error))
            else:
                _tell(report)
                outputs += report.outputs
    for path in outputs:  # now, as they would run into a progress bar
        emit(str(path.resolve()))
    if failed and len(jobs) > 1:
        fail(f"{len(failed)} of {len(jobs)} inputs failed: {', '.join(failed)}")
    if stop():
        raise KeyboardInterrupt
    if failed:
        raise typer.Exit(2)


def _progress() -> Progress:
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[status]}"),
    )
    return Progress(*columns, console=err, transient=True, disable=not err.is_terminal)


@contextmanager
def _shown(
    progress: Progress, description: str, selection: Selection
) -> Iterator[tuple[Callable[[SourceInfo], None], Callable[[TrackingResult], None]]]:
    """A bar within the block; gives what moves it: ``on_open`` and ``on_result`` of ``run_job``."""
    from tracker.batch import expected_frames

    task = progress.add_task(description, total=None, status="")

    def on_open(info: SourceInfo) -> None:
        progress.update(task, total=expected_frames(info, selection))

    def on_result(result: TrackingResult) -> None:
        progress.update(task, advance=1, status=f"{result.frame.index + 1} frames, {len(result.faces)} faces")

    try:
        yield on_open, on_result
    finally:
        progress.remove_task(task)


def _tell(report: JobReport) -> None:
    for warning in report.warnings:
        warn(warning)
    if report.already_done:
        say(f"{report.name}: already done (--overwrite computes it again)")
    else:
        share = f"a face in {report.frames_with_face} of {report.frames} frames"
        say(f"{report.name}: {share}{'' if report.finished else '; stopped before its end'}")
