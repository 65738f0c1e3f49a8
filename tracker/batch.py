"""Recorded and live sources through the tracker into files: what the command does, and the window in the background.

Every source gets its own files in one output folder, and at the end a sidecar ``<stem>.fewmark.json`` that says how
they were made. A sidecar that matches what is asked for means that there is nothing left to do.
"""

from __future__ import annotations

import dataclasses
import glob
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from models.errors import FewmarkError
from tracker.dataclass_toml import to_mapping
from tracker.overlays import OVERLAYS, OverlayContext, render
from tracker.pipeline import NO_RECONSTRUCTION, FaceTracker
from tracker.sinks import AnnotatedVideoSink, JsonLinesSink, OpenFaceCsvSink, ResultSink
from tracker.sources import open_source
from tracker.types import SourceInfo, TrackingResult

SIDECAR_SUFFIX = ".fewmark.json"
SIDECAR_VERSION = 1
VIDEO_SUFFIXES = frozenset(
    ".mp4 .m4v .mov .mkv .webm .avi .mpg .mpeg .ts .mts .m2ts .wmv .flv .3gp .ogv .gif".split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True)
class OutputChoice:
    """Which files a source gets."""

    csv: bool = True
    jsonl: bool = False
    video: bool = False
    overlays: tuple[str, ...] = ("contours", "points", "box")

    def check(self, tracker: FaceTracker) -> None:
        """Raises FewmarkError for a choice that this tracker can't serve."""
        if not (self.csv or self.jsonl or self.video):
            raise FewmarkError("nothing to write: choose at least one of --csv, --jsonl and --video")
        if unknown := [name for name in self.overlays if name not in OVERLAYS]:
            raise FewmarkError(f"overlay {unknown[0]!r} is unknown; choose from {', '.join(OVERLAYS)}")
        if "reconstruction" in self.overlays and not tracker.model.reconstructs:
            raise FewmarkError(NO_RECONSTRUCTION.format(tracker.model.name))

    def paths(self, out: Path, stem: str) -> dict[str, Path]:
        """The files of one source, by kind."""
        chosen = {"csv": self.csv, "jsonl": self.jsonl, "video": self.video}
        names = {"csv": f"{stem}.csv", "jsonl": f"{stem}.jsonl", "video": f"{stem}.annotated.mp4"}
        return {kind: out / names[kind] for kind, wanted in chosen.items() if wanted}


@dataclass(frozen=True, slots=True)
class Job:
    """One source and the stem of its output files."""

    spec: str
    stem: str


@dataclass(slots=True)
class JobReport:
    """What became of one source."""

    spec: str
    outputs: list[Path] = field(default_factory=list)
    frames: int = 0
    frames_with_face: int = 0
    warnings: list[str] = field(default_factory=list)
    stage_ms: dict[str, float] = field(default_factory=dict)  # mean per frame
    finished: bool = False  # False: stopped before the end of the source
    already_done: bool = False  # nothing had to be computed


def plan_jobs(inputs: Sequence[str]) -> list[Job]:
    """The sources that files, folders, patterns, cameras and addresses name, each with a stem of its own.

    A folder stands for its videos, and for its images as one source; sub-folders are not entered.

    Raises:
        FewmarkError: an input names nothing.
    """
    specs: list[str] = []
    for item in inputs:
        path = Path(item)
        if path.is_dir():
            specs += _sources_in(path)
        elif not path.exists() and glob.has_magic(item):
            matches = sorted(glob.glob(item, recursive=True))  # noqa: PTH207  (patterns may be absolute)
            if not matches:
                raise FewmarkError(f"{item}: no file matches this pattern")
            specs += [m for m in matches if Path(m).is_file()]
        else:
            specs.append(item)
    specs = list(dict.fromkeys(specs))
    return [Job(spec, stem) for spec, stem in zip(specs, _unique_stems(specs), strict=True)]


def _sources_in(folder: Path) -> list[str]:
    files = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    videos = [str(p) for p in files if p.suffix.lower() in VIDEO_SUFFIXES]
    return videos if videos and len(videos) == len(files) else [*videos, str(folder)]


def _unique_stems(specs: Sequence[str]) -> list[str]:
    """File stems, lengthened by suffix, then folder, then number, until no two are alike (upper and lower case too)."""

    def stem(spec: str, level: int, number: int) -> str:
        path = Path(spec)
        local = path.exists()
        text = [path.stem or path.name, path.name, f"{path.parent.name}_{path.name}"][min(level, 2)] if local else spec
        if local and path.is_dir():
            text = path.resolve().name
        text = re.sub(r"[^\w\-]+", "_", text).strip("_") or "source"
        return f"{text}_{number}" if level > 2 else text

    stems = [stem(spec, 0, 0) for spec in specs]
    for level in (1, 2, 3):
        counts = Counter(s.casefold() for s in stems)
        stems = [
            stem(spec, level, number) if counts[s.casefold()] > 1 else s
            for number, (spec, s) in enumerate(zip(specs, stems, strict=True), start=1)
        ]
    return stems


def run_job(
    job: Job,
    tracker: FaceTracker,
    choice: OutputChoice,
    out: Path,
    *,
    start_s: float | None = None,
    end_s: float | None = None,
    film: bool = False,
    overwrite: bool = False,
    on_open: Callable[[SourceInfo], None] | None = None,
    on_result: Callable[[TrackingResult], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> JobReport:
    """Tracks one source from its first to its last frame and writes the chosen files.

    Args:
        film: the images of a folder follow one another like the frames of a film; else each stands for itself.
        overwrite: compute even where a matching sidecar says that all is there.
        should_stop: asked between frames; when it says so the files are completed and the report says ``finished`` is
            False.

    Raises:
        FewmarkError: the source can't be opened or a file can't be written. What was written before is kept.
    """
    sidecar = out / f"{job.stem}{SIDECAR_SUFFIX}"
    paths = choice.paths(out, job.stem)
    request = _describe_request(job, tracker, choice, start_s, end_s, film)
    report = JobReport(job.spec, outputs=list(paths.values()))
    if not overwrite and _is_done(sidecar, request, paths):
        report.already_done = report.finished = True
        return report

    totals: Counter[str] = Counter()
    heatmaps = choice.video and "heatmap" in choice.overlays
    reconstructions = choice.video and "reconstruction" in choice.overlays
    with open_source(job.spec, start_s=start_s, end_s=end_s) as source:
        stills = source.info.frame_rate is None and not source.info.is_live and not film and _is_image_source(job.spec)
        if on_open:
            on_open(source.info)
        _make_folder(out)
        sidecar.unlink(missing_ok=True)  # the files beside it are about to change
        tracker.reset(restart_ids=True)
        with ExitStack() as stack:
            sinks: list[ResultSink] = [
                stack.enter_context(_open_sink(kind, path, job, tracker, choice, source.info, start_s))
                for kind, path in paths.items()
            ]
            report.finished = True
            for frame in source:
                if should_stop():
                    report.finished = False
                    break
                if stills:
                    tracker.reset(restart_ids=True)
                result = tracker.process(frame, heatmaps=heatmaps, reconstructions=reconstructions)
                for sink in sinks:
                    sink.write(result)
                report.frames += 1
                report.frames_with_face += bool(result.faces)
                totals.update(result.stage_ms)
                if on_result:
                    on_result(result)
        report.warnings = list(source.warnings)
    report.stage_ms = {name: round(ms / max(report.frames, 1), 3) for name, ms in totals.items()}
    if report.finished:
        _write_sidecar(sidecar, request, report, tracker)
    return report


def _open_sink(
    kind: str, path: Path, job: Job, tracker: FaceTracker, choice: OutputChoice, info: SourceInfo, start_s: float | None
) -> ResultSink:
    scheme = tracker.model.scheme
    if kind == "csv":
        return OpenFaceCsvSink(path, scheme, source=info.name)
    if kind == "jsonl":
        return JsonLinesSink(path, scheme, model=tracker.model.name, source=info.name)
    draw = partial(render, overlays=choice.overlays, context=OverlayContext(scheme))
    audio = Path(job.spec) if info.has_audio and not info.is_live else None
    return AnnotatedVideoSink(path, info, draw, audio_from=audio, start_s=start_s or 0.0)


def _is_image_source(spec: str) -> bool:
    return Path(spec).is_dir() or Path(spec).suffix.lower() not in VIDEO_SUFFIXES


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FewmarkError(
            f"{out}: the output folder can't be made ({error.strerror}); choose another --out"
        ) from error


def _describe_request(
    job: Job, tracker: FaceTracker, choice: OutputChoice, start_s: float | None, end_s: float | None, film: bool
) -> dict[str, Any]:
    """What the results depend on, as plain JSON."""
    path = Path(job.spec)
    stat = path.stat() if path.is_file() else None
    return {
        "source": job.spec,
        "source_bytes": stat.st_size if stat else None,
        "source_modified_ns": stat.st_mtime_ns if stat else None,
        "start_s": start_s,
        "end_s": end_s,
        "film": film,
        "outputs": {**dataclasses.asdict(choice), "overlays": list(choice.overlays)},
        "config": to_mapping(tracker.config),
    }


def _is_done(sidecar: Path, request: dict[str, Any], paths: dict[str, Path]) -> bool:
    # Only a file stays what it was: a camera, a stream or a folder may have changed.
    if request["source_bytes"] is None or not all(p.is_file() for p in paths.values()):
        return False
    try:
        return bool(json.loads(sidecar.read_text(encoding="utf-8"))["request"] == request)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _write_sidecar(sidecar: Path, request: dict[str, Any], report: JobReport, tracker: FaceTracker) -> None:
    content = {
        "format": "fewmark-run",
        "version": SIDECAR_VERSION,
        "request": request,
        "model": tracker.model.name,
        "backend": tracker.backend.name,
        "device": tracker.backend.device,
        "frames": report.frames,
        "frames_with_face": report.frames_with_face,
        "warnings": report.warnings,
        "files": [p.name for p in report.outputs],
        "stage_ms": report.stage_ms,
    }
    try:
        sidecar.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise FewmarkError(
            f"{sidecar}: can't be written ({error.strerror}); the results beside it are complete"
        ) from error
