"""The real thing from file to files, as ``fewmark track`` runs it: decoding and encoding in threads of their own."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from models.errors import FewmarkError
from tracker.batch import Job, OutputChoice, run_job
from tracker.following.pipeline import FaceTracker
from tracker.types import TrackingResult


@dataclass(frozen=True, slots=True)
class EndToEnd:
    """Whole runs over the same frames; opening the source and completing the files are part of their time."""

    outputs: tuple[str, ...]  # "csv", "video"
    frames_per_s: float  # median of the runs
    runs_frames_per_s: tuple[float, ...]
    frames: int  # of one run
    faces_per_frame: float  # mean
    stage_ms: dict[str, float]  # inside the tracker, mean a frame; median of the runs


@dataclass(frozen=True, slots=True)
class Run:
    """One of them."""

    frames: int
    faces: int
    seconds: float
    stage_ms: dict[str, float]


def run_once(tracker: FaceTracker, video: Path, choice: OutputChoice, frames: int, on_frame: Callable[[], None]) -> Run:
    """Tracks the first ``frames`` frames of a video, or all where it has fewer, into a temporary folder.

    Raises:
        FewmarkError: the video can't be read or the folder can't be written.
    """
    done = faces = 0

    def count(result: TrackingResult) -> None:
        nonlocal done, faces
        done += 1
        faces += len(result.faces)
        on_frame()

    with TemporaryDirectory(prefix="fewmark-bench-") as folder:
        start = time.perf_counter()
        report = run_job(
            Job(str(video), "bench"),
            tracker,
            choice,
            Path(folder),
            overwrite=True,
            on_result=count,
            should_stop=lambda: done >= frames,
        )
        seconds = time.perf_counter() - start
    if not done:
        raise FewmarkError(f"{video}: delivered no frame; take another video")
    return Run(done, faces, seconds, report.stage_ms)


def output_kinds(choice: OutputChoice) -> tuple[str, ...]:
    """What a video gets: "csv", "video"."""
    return tuple(choice.paths(Path(), "", are_stills=False))


def summarise(choice: OutputChoice, runs: Sequence[Run]) -> EndToEnd:
    """One or more runs over the same frames."""
    rates = tuple(round(run.frames / run.seconds, 2) for run in runs)
    stages = dict.fromkeys(name for run in runs for name in run.stage_ms)
    return EndToEnd(
        outputs=output_kinds(choice),
        frames_per_s=round(median(rates), 2),
        runs_frames_per_s=rates,
        frames=runs[0].frames,
        faces_per_frame=round(sum(run.faces for run in runs) / sum(run.frames for run in runs), 3),
        stage_ms={name: round(median(run.stage_ms.get(name, 0.0) for run in runs), 3) for name in stages},
    )
