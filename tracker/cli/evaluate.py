"""``fewmark evaluate``, ``fewmark evaluate-video`` and ``fewmark calibrate``: how good a model is, and how sure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.errors import FewmarkError
from tracker.cli.console import emit, err, graceful_stop, out, say, warn
from tracker.cli.options import BACKEND_HELP, DATASET_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracker.cli.console import StopRequest
    from tracker.following.pipeline import FaceTracker
    from tracker.sources import FrameSource
    from tracker.types import TrackingResult
    from training.evaluation import Entry, Evaluation

_Dataset = Annotated[str, typer.Option(metavar="NAME", help=f"What the data are: {DATASET_NAMES}.")]
_Subset = Annotated[
    str, typer.Option(metavar="NAME", help="validation (what training held out), train, test, all, or a published one.")
]
_Backend = Annotated[
    str,
    typer.Option(metavar="NAME", help=BACKEND_HELP),
]
_ModelDir = Annotated[Path | None, typer.Option(metavar="FOLDER", help="Folder with detector model files.")]
_Normaliser = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="What errors are divided by: outer-eyes, pupils, box-diagonal, box-geometric-mean, box-width or "
        "face-size.  [default: the one that the data set's papers use]",
    ),
]


def evaluate(
    data: Annotated[Path, typer.Argument(help="The data set's folder, or a file of labels.")],
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME|FILE", help="A shipped model's name or a model file; repeat to compare several."),
    ] = None,
    dataset: _Dataset = "300w",
    subset: _Subset = "validation",
    crops: Annotated[
        str, typer.Option(help="detector (the whole pipeline) or truth (crops from the labels).")
    ] = "detector",
    normaliser: _Normaliser = None,
    threshold: Annotated[
        float,
        typer.Option(min=0.01, max=100, metavar="PERCENT", help="NME that makes a failure and ends the AUC."),
    ] = 10.0,
    compare: Annotated[
        list[Path] | None, typer.Option(metavar="FOLDER", help="The --out of an earlier evaluation; repeat for more.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for the report as a page, the figures as JSON, the CED.")
    ] = None,
    backend: _Backend = "auto",
    flip: Annotated[bool, typer.Option(help="Average with the mirrored crop (crops from the labels only).")] = False,
    squares: Annotated[
        int, typer.Option(min=0, metavar="N", help="Also look at up to N squares of the photos without a face.")
    ] = 100,
    model_dir: _ModelDir = None,
) -> None:
    """Measure models on labelled faces: errors by subset and part, failures, AUC, confidence, the worst faces."""
    from models.registry import DEFAULT_MODEL
    from training.evaluation import evaluate_model, load_evaluation
    from training.evaluation.normalisers import check_normaliser

    if normaliser is not None:
        check_normaliser(normaliser)
    earlier = [(path.name, load_evaluation(path)) for path in compare or []]
    fresh = [
        evaluate_model(
            name,
            data,
            dataset=dataset,
            subset=subset,
            crops=crops,
            backend=backend,
            flip=flip,
            squares=squares,
            model_dir=model_dir,
            report=say,
        )
        for name in model or (DEFAULT_MODEL,)
    ]
    for line in dict.fromkeys(line for evaluation in fresh for line in evaluation.skipped):
        warn(f"skipped {line}")
    named = [*((evaluation.model, evaluation) for evaluation in fresh), *earlier]
    _report(_worked_out(named, normaliser, threshold / 100), len(fresh), output, data)


def _worked_out(named: list[tuple[str, Evaluation]], normaliser: str | None, threshold: float) -> list[Entry]:
    """The figures of evaluations, each under a name of its own."""
    from training.evaluation import Entry, unique_names, work_out

    names = unique_names([name for name, _ in named])
    return [
        Entry(name, evaluation, work_out(evaluation, normaliser=normaliser, threshold=threshold))
        for name, (_, evaluation) in zip(names, named, strict=True)
    ]


def _report(entries: list[Entry], fresh: int, output: Path | None, data: Path) -> None:
    """Prints the first ``fresh`` entries and all of them beside each other; writes them where a folder is named."""
    from training.evaluation import print_comparison, print_evaluation, write_reports

    for entry in entries[:fresh]:
        print_evaluation(entry, out)
    if len(entries) > 1:
        print_comparison(entries, out)
    if output is not None:
        for path in write_reports(entries, fresh, output, data):
            emit(str(path))


def evaluate_video(
    video: Annotated[Path, typer.Argument(help="A video that shows a face.")],
    model: Annotated[str | None, typer.Option(metavar="NAME|FILE", help="A shipped model or a model file.")] = None,
    normaliser: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What distances are divided by, as in fewmark evaluate."),
    ] = None,
    min_cutoff: Annotated[
        float | None, typer.Option(min=0.01, metavar="HZ", help="Of the smoothing; lower is calmer.")
    ] = None,
    beta: Annotated[float | None, typer.Option(min=0.0, help="Of the smoothing; higher lags less.")] = None,
    start: Annotated[float | None, typer.Option(metavar="SECONDS", min=0, help="Begin at this time.")] = None,
    end: Annotated[float | None, typer.Option(metavar="SECONDS", min=0, help="Stop before this time.")] = None,
    output: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for the figures as JSON and a plot of the paths.")
    ] = None,
    backend: _Backend = "auto",
    model_dir: _ModelDir = None,
) -> None:
    """Measure jitter on a video, with smoothing and without, and the lag that smoothing adds. Needs no labels."""
    from dataclasses import replace

    from tracker.config import TrackerConfig
    from tracker.following.pipeline import open_tracker
    from tracker.sources import open_source
    from training.evaluation.normalisers import check_normaliser
    from training.evaluation.video import evaluate_video as measure
    from training.evaluation.video import print_video, write_video_report

    if normaliser is not None:
        check_normaliser(normaliser)
    config = TrackerConfig()
    config = replace(config, model=model or config.model, backend=backend)
    smoothing = replace(
        config.smoothing,
        min_cutoff_hz=config.smoothing.min_cutoff_hz if min_cutoff is None else min_cutoff,
        beta=config.smoothing.beta if beta is None else beta,
    )
    with open_source(video, start_s=start, end_s=end) as source:  # first, as it is what may be wrong
        if source.info.are_stills:
            raise FewmarkError(f"{video}: single images have no jitter; pass a video")
        with open_tracker(config, model_dir=model_dir, report=say) as tracker, graceful_stop() as stop:
            frames = source.info.frame_count if start is None and end is None else None
            results = _track(tracker, source, frames, stop)
            evaluation = measure(results, tracker, video=video.name, smoothing=smoothing, normaliser=normaliser)
            if stop():
                raise KeyboardInterrupt
    print_video(evaluation, out)
    if output is not None:
        for path in write_video_report(evaluation, output):
            emit(str(path))


def _track(
    tracker: FaceTracker, source: FrameSource, frames: int | None, stop: StopRequest
) -> Iterator[TrackingResult]:
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("tracking"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("", total=frames)
        for frame in source:
            if stop():
                return
            yield tracker.process(frame)
            bar.advance(task)


def calibrate(
    model: Annotated[Path, typer.Argument(help="The model file, or the name of a shipped model.")],
    data: Annotated[Path, typer.Option(metavar="PATH", help="The data set's folder, or a file of labels.")],
    dataset: _Dataset = "300w",
    subset: Annotated[
        str, typer.Option(metavar="NAME", help="Faces that the model was not trained on, and is not judged by.")
    ] = "validation",
    output: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The calibrated model file; default: MODEL, if it is a file."),
    ] = None,
    backend: _Backend = "auto",
    model_dir: _ModelDir = None,
) -> None:
    """Teach a model what its confidences mean: the probability that a landmark's error is below 5 %."""
    from dataclasses import replace

    from models.files.model_file import save_model
    from models.registry import MODELS, open_model
    from training.evaluation import evaluate_model
    from training.evaluation.calibration import fit_calibration, fits_into_half, print_fit

    if output is None and str(model) in MODELS:
        raise FewmarkError(f"{model}: a shipped model stays as it is; say with --out where the calibrated one goes")
    uncalibrated = replace(open_model(model), calibration=None)
    evaluation = evaluate_model(
        uncalibrated, data, dataset=dataset, subset=subset, backend=backend, model_dir=model_dir, report=say
    )
    for line in evaluation.skipped:
        warn(f"skipped {line}")
    fit = fit_calibration(evaluation)
    print_fit(fit, out)
    target = output or model
    half = fits_into_half(uncalibrated.network, uncalibrated.autoencoder)
    save_model(target, replace(uncalibrated, calibration=fit.calibration), half=half)
    emit(str(target))
