"""One model on one backend, measured: all its passes in one run, the repeats interleaved."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tracker.batch import OutputChoice
from tracker.bench.end_to_end import EndToEnd, Run, output_kinds, run_once, summarise
from tracker.bench.stages import StageBench, StageSamples, StageTime
from tracker.config import TrackerConfig
from tracker.pipeline import open_detector, open_tracker
from tracker.sources.video_file import VideoFile
from tracker.types import SourceInfo

WARM_UP_FRAMES = 20  # of every pass over the stages, more than x264 looks ahead; as many end to end, once
_CHOICES = (OutputChoice(csv=True), OutputChoice(csv=True, video=True))


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one model costs on one backend."""

    model: str
    backend: str
    device: str
    detector: str
    repeats: int
    stages: dict[str, StageTime]  # all of STAGES
    end_to_end: tuple[EndToEnd, ...]  # without and with the annotated video


def open_video(video: Path) -> SourceInfo:
    """Facts of a video file.

    Raises:
        FewmarkError: missing, or not a video.
    """
    with VideoFile(video) as source:
        return source.info


def frames_to_run(info: SourceInfo, frames: int, repeat: int, warm_up: int = WARM_UP_FRAMES) -> int:
    """How often ``measure`` will call ``on_frame``; an estimate where the header's frame count is one."""
    length = info.frame_count or frames
    once = 2 * (warm_up + frames) + len(_CHOICES) * min(frames, length)
    return repeat * once + len(_CHOICES) * min(warm_up, length)


def measure(
    config: TrackerConfig,
    video: Path,
    *,
    frames: int,
    repeat: int,
    warm_up: int = WARM_UP_FRAMES,
    model_dir: Path | None = None,
    report: Callable[[str], None] | None = None,
    on_frame: Callable[[str], None] = lambda _: None,
) -> Measurement:
    """Measures the stages and the whole, ``repeat`` times in turn, so that a slow spell of the machine hits both.

    Args:
        frames: so many of the video in each pass. A shorter video is played again for the stages, and ends an
            end-to-end run early.
        warm_up: frames before them whose times are not kept, 1 or more.
        model_dir: where the user keeps detector files.
        report: receives a line for a person when a file has to be obtained.
        on_frame: receives the name of the pass with every frame.

    Raises:
        FewmarkError: video, model, backend or detector can't be had, or there is no face in the video.
    """
    info = open_video(video)
    samples = StageSamples()
    runs: dict[OutputChoice, list[Run]] = {choice: [] for choice in _CHOICES}
    with open_tracker(config, model_dir=model_dir, report=report) as tracker:
        with closing(open_detector(config.detection, model_dir=model_dir, report=report)) as detector:
            bench = StageBench(tracker, detector, video, info)
            for choice in _CHOICES:
                run_once(tracker, video, choice, warm_up, partial(on_frame, "warm-up"))
            for _ in range(repeat):
                bench.run(samples, frames, warm_up=warm_up, on_frame=partial(on_frame, "stages"))
                for choice in _CHOICES:
                    on_whole = partial(on_frame, f"end to end, {' + '.join(output_kinds(choice))}")
                    runs[choice].append(run_once(tracker, video, choice, frames, on_whole))
        return Measurement(
            model=tracker.model.name,
            backend=tracker.backend.name,
            device=tracker.backend.device,
            detector=config.detection.detector,
            repeats=repeat,
            stages=samples.summary(),
            end_to_end=tuple(summarise(choice, done) for choice, done in runs.items()),
        )
