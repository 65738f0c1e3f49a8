"""One source through the tracker into its files."""

from __future__ import annotations

import gc
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from models.errors import FewmarkError
from tracker.batch.claim import claimed
from tracker.batch.jobs import Job
from tracker.batch.replacing import move_into_place, written_aside
from tracker.batch.settings import OutputChoice, Selection
from tracker.batch.sidecar import Sidecar, describe_request
from tracker.following.pipeline import FaceTracker, most_faces
from tracker.overlays import OverlayContext, render
from tracker.sinks import (
    AnnotatedImagesSink,
    AnnotatedVideoSink,
    JsonLinesSink,
    OpenFaceCsvSink,
    ResultSink,
    ThreadedSink,
)
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
    left_out: int = 0  # faces beyond the most that are kept, in the frame with most of them
    finished: bool = True  # False: stopped before the end of the source
    kept_earlier: bool = False  # stopped, and the files are still those of an earlier run
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
    keep_earlier: bool = False,
    on_open: Callable[[SourceInfo], None] | None = None,
    on_result: Callable[[TrackingResult], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> JobReport:
    """Tracks one source and writes the chosen files, or finds that an earlier run has done so.

    Args:
        overwrite: compute even where a matching sidecar says that all is there, and replace the files of another
            source or an earlier recording.
        keep_earlier: where the files of a whole run lie there, the new ones take their place only once they are whole
            as well: a run that is stopped or fails changes nothing.
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
        aside = keep_earlier and sidecar.is_whole
        with written_aside(out, job.stem, paths) if aside else nullcontext(paths) as written:
            if not aside:
                sidecar.remove()
            frames = _selected(source, selection, should_stop, report)
            warnings = _track_into(written, frames, tracker, choice, info, start_s, on_result, report)
            report.warnings = [*source.warnings, *warnings]
            if report.left_out:
                most = most_faces(tracker.config.tracking, still=info.are_stills)
                report.warnings.append(
                    f"{report.left_out} more faces than the {most} that are kept; --max-faces {most + report.left_out} "
                    "keeps them all"
                )
            report.kept_earlier = aside and not report.finished
            if aside and report.finished:
                sidecar.remove()
                move_into_place(written, paths)
        report.outputs = [path for path in paths.values() if path.exists()]
        if not report.kept_earlier and (report.finished or info.is_live):
            sidecar.write(request, report.outputs, _facts(tracker, info, report))
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


def _track_into(
    paths: Mapping[str, Path],
    frames: Iterable[Frame],
    tracker: FaceTracker,
    choice: OutputChoice,
    info: SourceInfo,
    start_s: float | None,
    on_result: Callable[[TrackingResult], None] | None,
    report: JobReport,
) -> list[str]:
    """Opens the files, tracks, completes the files; returns warnings about them.

    The source decodes ahead, the tables are written and the video is drawn and encoded, each in a thread of its own:
    none of them changes the order, and so the results, of the frames.
    """
    tracker.reset(restart_ids=True)
    with ExitStack() as stack:
        sinks = {
            kind: stack.enter_context(_open_sink(kind, path, tracker, choice, info, start_s))
            for kind, path in paths.items()
        }
        process = partial(
            tracker.process_still if info.are_stills else partial(tracker.process, recorded=not info.is_live),
            heatmaps=choice.heatmaps,
            reconstructions=choice.reconstructions,
        )
        # The video has its own thread, in which it may leave out frames of a live source; the tables never do.
        threaded = [sink for kind, sink in sinks.items() if kind == "video"]
        if others := [sink for kind, sink in sinks.items() if kind != "video"]:
            threaded.append(stack.enter_context(ThreadedSink(others)))
        _track(frames, process, threaded, on_result or (lambda _: None), report)
    return _warnings_of(sinks.values())


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
        report.left_out = max(report.left_out, result.left_out)
        totals.update(result.stage_ms)
        on_result(result)
    report.stage_ms = {name: round(ms / report.frames, 3) for name, ms in totals.items()}


def _facts(tracker: FaceTracker, info: SourceInfo, report: JobReport) -> dict[str, Any]:
    """What a sidecar says beyond the request."""
    return {
        "model": tracker.model.name,
        "confidence_meaning": tracker.model.confidence_meaning,
        "backend": tracker.backend.name,
        "device": tracker.backend.device,
        "positions": "pixels of the source itself; the annotated video's are square",
        "pixel_aspect": round(info.pixel_aspect, 6),  # width over height
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


def _warnings_of(sinks: Iterable[ResultSink]) -> list[str]:
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
