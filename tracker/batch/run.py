"""One source through the tracker into its files."""

from __future__ import annotations

import gc
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from models.errors import FewmarkError
from tracker.batch.claim import claimed
from tracker.batch.jobs import Job
from tracker.batch.settings import OutputChoice, Selection
from tracker.batch.sidecar import Sidecar, describe_request
from tracker.overlays import OverlayContext, render
from tracker.pipeline import FaceTracker
from tracker.sinks import AnnotatedImagesSink, AnnotatedVideoSink, JsonLinesSink, OpenFaceCsvSink, ResultSink
from tracker.sources import FrameSource, open_source
from tracker.types import Frame, SourceInfo, TrackingResult


@dataclass(slots=True)
class JobReport:
    """What became of one source."""

    name: str  # of the source
    outputs: list[Path] = field(default_factory=list)
    frames: int = 0
    frames_with_face: int = 0
    warnings: list[str] = field(default_factory=list)
    stage_ms: dict[str, float] = field(default_factory=dict)  # mean per frame
    finished: bool = True  # False: stopped before the end of the source
    already_done: bool = False  # nothing had to be computed


def expected_frames(info: SourceInfo, selection: Selection) -> int | None:
    """For progress bars: about how many frames will be tracked, None if unknown."""
    if info.are_stills or (selection.duration_s is None and not selection.start_s):
        return info.frame_count
    if info.frame_rate is None:
        return None
    remaining = math.inf
    if info.frame_count is not None:
        remaining = max(info.frame_count - (selection.start_s or 0.0) * info.frame_rate, 0.0)
    if selection.duration_s is not None:
        remaining = min(remaining, selection.duration_s * info.frame_rate)
    return math.ceil(remaining) if math.isfinite(remaining) else None


def run_job(
    job: Job,
    tracker: FaceTracker,
    choice: OutputChoice,
    out: Path,
    *,
    selection: Selection | None = None,
    overwrite: bool = False,
    on_open: Callable[[SourceInfo], None] | None = None,
    on_result: Callable[[TrackingResult], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> JobReport:
    """Tracks one source and writes the chosen files, or finds that an earlier run has done so.

    Args:
        overwrite: compute even where a matching sidecar says that all is there, and replace the files of another
            source or an earlier recording.
        should_stop: asked between frames; when it says so the files are completed and the report says ``finished`` is
            False. Only a live source, which has no other end, gets its sidecar then.

    Raises:
        FewmarkError: the source can't be opened, another run is writing its files, or a file can't be written. What was
            written before is kept.
    """
    selection = selection or Selection()
    choice.check(tracker)
    request = describe_request(job, choice, selection, tracker.config)
    sidecar = Sidecar(out, job.stem)
    if not overwrite:
        if (files := sidecar.finished_files(request)) is not None:
            return JobReport(job.name, files, already_done=True)
        sidecar.check_same_source(request)

    report = JobReport(job.name)
    start_s, end_s, film_rate = selection.start_s, selection.end_s, selection.film_rate
    with open_source(job.spec, start_s=start_s, end_s=end_s, film_rate=film_rate) as source, claimed(out, job.stem):
        info = source.info
        paths = choice.paths(out, job.stem, are_stills=info.are_stills)
        if info.is_live and not overwrite:
            _check_no_recording(paths)
        if on_open:
            on_open(info)
        sidecar.remove()
        tracker.reset(restart_ids=True)
        with ExitStack() as stack:
            sinks = [
                stack.enter_context(_open_sink(kind, path, tracker, choice, info, start_s))
                for kind, path in paths.items()
            ]
            process = partial(
                tracker.process_still if info.are_stills else partial(tracker.process, recorded=not info.is_live),
                heatmaps=choice.heatmaps,
                reconstructions=choice.reconstructions,
            )
            frames = _selected(source, selection, should_stop, report)
            _track(frames, process, sinks, on_result or (lambda _: None), report)
        report.warnings = [*source.warnings, *_warnings_of(sinks)]
        report.outputs = [path for path in paths.values() if path.exists()]
        if report.finished or info.is_live:
            sidecar.write(request, report.outputs, _facts(tracker, report))
    gc.collect()  # PyAV's contexts hang in reference cycles: a long batch would pile them up
    return report


def _selected(
    source: FrameSource, selection: Selection, should_stop: Callable[[], bool], report: JobReport
) -> Iterator[Frame]:
    """The frames to track; ends the report as not finished once it should stop."""
    first_s: float | None = None
    for frame in source:
        if should_stop():
            report.finished = False
            return
        first_s = frame.time_s if first_s is None else first_s
        if selection.seconds is not None and frame.time_s - first_s >= selection.seconds:
            return
        yield frame


def _track(
    frames: Iterable[Frame],
    process: Callable[[Frame], TrackingResult],
    sinks: Sequence[ResultSink],
    on_result: Callable[[TrackingResult], None],
    report: JobReport,
) -> None:
    """Sends every frame through the tracker into all sinks, and counts in the report."""
    totals: Counter[str] = Counter()
    for frame in frames:
        result = process(frame)
        for sink in sinks:
            sink.write(result)
        report.frames += 1
        report.frames_with_face += bool(result.faces)
        totals.update(result.stage_ms)
        on_result(result)
    report.stage_ms = {name: round(ms / report.frames, 3) for name, ms in totals.items()}


def _facts(tracker: FaceTracker, report: JobReport) -> dict[str, Any]:
    """What a sidecar says beyond the request."""
    return {
        "model": tracker.model.name,
        "confidence_meaning": tracker.model.confidence_meaning,
        "backend": tracker.backend.name,
        "device": tracker.backend.device,
        "frames": report.frames,
        "frames_with_face": report.frames_with_face,
        "stage_ms": report.stage_ms,
        "warnings": report.warnings,
    }


def _open_sink(
    kind: str, path: Path, tracker: FaceTracker, choice: OutputChoice, info: SourceInfo, start_s: float | None
) -> ResultSink:
    scheme = tracker.model.scheme
    if kind == "csv":
        return OpenFaceCsvSink(path, scheme, source=info.name)
    if kind == "jsonl":
        model, meaning = tracker.model.name, tracker.model.confidence_meaning
        return JsonLinesSink(path, scheme, model=model, source=info.name, confidence_meaning=meaning)
    draw = partial(render, overlays=choice.overlays, context=OverlayContext(scheme))
    if kind == "images":
        return AnnotatedImagesSink(path, draw)
    recording = Path(info.name)  # a file's path; an address's sound would have to be fetched a second time
    audio = recording if info.has_audio and not info.is_live and recording.is_file() else None
    return AnnotatedVideoSink(path, info, draw, audio_from=audio, start_s=start_s or 0.0)


def _warnings_of(sinks: list[ResultSink]) -> list[str]:
    return [
        f"{sink.frames_dropped} frames are missing from the annotated video: encoding could not keep up with the source"
        for sink in sinks
        if isinstance(sink, AnnotatedVideoSink) and sink.frames_dropped
    ]


def _check_no_recording(paths: dict[str, Path]) -> None:
    """What a live source showed can't be had a second time."""
    for path in paths.values():
        if path.exists():
            raise FewmarkError(
                f"{path}: there is an earlier recording; choose another --out, or pass --overwrite to replace it"
            )
