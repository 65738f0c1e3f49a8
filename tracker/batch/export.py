"""Files made from stored results: the network runs again only for heatmaps and reconstructions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from models.errors import FewmarkError
from models.registry import open_model
from tracker.backends import choose_backend
from tracker.backends.base import Backend
from tracker.batch.claim import claimed
from tracker.batch.jobs import ANNOTATED
from tracker.batch.results import StoredResults, least_confident_moments
from tracker.batch.run import JobReport
from tracker.following.face_pictures import add_pictures, pictures_for
from tracker.overlays import OverlayContext, render
from tracker.sinks import AnnotatedImagesSink, AnnotatedVideoSink, JsonLinesSink, OpenFaceCsvSink, ResultSink
from tracker.sources import open_source
from tracker.types import Frame, SourceInfo, TrackingResult

Stills = Literal["none", "least confident", "one a second", "all"]


@dataclass(frozen=True, slots=True)
class ExportChoice:
    """Which files are made.

    Raises:
        FewmarkError: none at all.
    """

    csv: bool = False
    jsonl: bool = False
    video: bool = False  # annotated
    stills: Stills = "none"  # annotated images
    overlays: tuple[str, ...] = ("contours", "points", "box")  # of video and stills

    def __post_init__(self) -> None:
        if not (self.csv or self.jsonl or self.draws):
            raise FewmarkError("nothing to export: choose at least one kind of file")

    @property
    def draws(self) -> bool:
        """Whether the source's frames are needed."""
        return self.video or self.stills != "none"

    def paths(self, out: Path, stem: str) -> dict[str, Path]:
        """Kind in ``SINKS`` -> file, for images folder."""
        chosen = [
            (self.csv, "csv", f"{stem}.csv"),
            (self.jsonl, "jsonl", f"{stem}.jsonl"),
            (self.video, "video", f"{stem}{ANNOTATED}.mp4"),
            (self.stills != "none", "images", f"{stem}{ANNOTATED}"),
        ]
        return {kind: out / name for wanted, kind, name in chosen if wanted}


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """A source, its results, and what is to become of them."""

    spec: str  # as ``open_source`` takes it
    stem: str
    results: StoredResults
    choice: ExportChoice
    out: Path
    context: OverlayContext  # how the overlays are drawn; its scheme is that of the results
    model: str  # of the results, for heatmaps and reconstructions: a name of MODELS or the path of a model file
    backend: str = "auto"
    film_rate: float | None = None  # as the results were made with
    present: tuple[Path, ...] = ()  # tables that hold these results already: they are not written again


def export_results(
    request: ExportRequest,
    *,
    on_open: Callable[[int], None] | None = None,
    on_result: Callable[[TrackingResult], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> JobReport:
    """Writes the chosen files.

    Args:
        on_open: is told how many frames there are.
        should_stop: asked between frames; when it says so the files are completed and the report says ``finished`` is
            False.

    Raises:
        FewmarkError: source or model can't be opened, another run is writing the files, or one can't be written.
    """
    report = JobReport(request.spec)
    paths = request.choice.paths(request.out, request.stem)
    to_write = {kind: path for kind, path in paths.items() if path not in request.present}
    if on_open:
        on_open(request.results.num_frames)
    with ExitStack() as stack:
        stack.enter_context(claimed(request.out, request.stem))
        info, frames = _frames(request, stack)
        draw_again = _network(request, stack)
        sinks = [(kind, stack.enter_context(_open_sink(kind, path, request, info))) for kind, path in to_write.items()]
        stills = _still_indices(request)
        for frame in frames:
            if should_stop():
                report.finished = False
                break
            result = request.results.result_of(frame) or TrackingResult(frame, (), model=request.results.model)
            if draw_again is not None:
                result = draw_again(result)
            for kind, sink in sinks:
                if kind != "images" or stills is None or frame.index in stills:
                    sink.write(result)
            report.frames += 1
            report.frames_with_face += bool(result.faces)
            if on_result:
                on_result(result)
    report.outputs = [path for path in paths.values() if path.exists()]
    return report


def _frames(request: ExportRequest, stack: ExitStack) -> tuple[SourceInfo, Iterator[Frame]]:
    """The frames of the source if something is drawn, else those of the results, without an image."""
    if request.choice.draws:
        source = stack.enter_context(open_source(request.spec, film_rate=request.film_rate))
        return source.info, iter(source)
    results = request.results
    nothing = np.zeros((0, 0, 3), np.uint8)
    facts = zip(results.frame_index.tolist(), results.time_s.tolist(), results.names, strict=False)
    info = SourceInfo(results.source, 0, 0, None, results.num_frames, is_live=False)
    return info, (Frame(nothing, index, time_s, name) for index, time_s, name in facts)


def _network(request: ExportRequest, stack: ExitStack) -> Callable[[TrackingResult], TrackingResult] | None:
    """What adds heatmaps and reconstructions; None where nothing is drawn from them."""
    wanted = pictures_for(request.choice.overlays, request.context.chosen_landmark)
    if not (request.choice.draws and wanted.holds_pictures):
        return None
    if not request.results.has_crops:
        raise FewmarkError(
            f"{request.spec}: its results don't say where the crops lay, as heatmaps and reconstructions need; "
            "process it again, or leave them out"
        )
    model = open_model(request.model)
    if wanted.reconstructions and (why := model.why_no_reconstruction):
        raise FewmarkError(why)
    backend: Backend = choose_backend(request.backend, model).backend
    stack.callback(backend.close)
    return partial(add_pictures, backend=backend, request=wanted)


def _open_sink(kind: str, path: Path, request: ExportRequest, info: SourceInfo) -> ResultSink:
    results = request.results
    if kind == "csv":
        return OpenFaceCsvSink(path, results.scheme, source=results.source)
    if kind == "jsonl":
        model, source, meaning = results.model, results.source, results.confidence_meaning
        return JsonLinesSink(path, results.scheme, model=model, source=source, confidence_meaning=meaning)
    draw = partial(render, overlays=request.choice.overlays, context=request.context)
    if kind == "images":
        return AnnotatedImagesSink(path, draw)
    recording = Path(info.name)
    return AnnotatedVideoSink(path, info, draw, audio_from=recording if info.has_audio else None)


def _still_indices(request: ExportRequest) -> frozenset[int] | None:
    """The frames that become stills, by ``Frame.index``; None: all."""
    results = request.results
    if request.choice.stills == "least confident":
        return frozenset(moment.index for moment in least_confident_moments(results))
    if request.choice.stills == "one a second":
        seconds = np.floor(results.time_s - results.time_s[:1])
        return frozenset(results.frame_index[np.diff(seconds, prepend=-1) > 0].tolist())
    return None
