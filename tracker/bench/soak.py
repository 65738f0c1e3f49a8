"""Memory over a long run: one video over and over through the tracker and into one set of files."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import psutil

from tracker.batch import OutputChoice
from tracker.bench.environment import Environment, OtherLoad
from tracker.bench.measurement import open_video
from tracker.config import TrackerConfig
from tracker.overlays import OverlayContext, render
from tracker.pipeline import open_tracker
from tracker.sinks import AnnotatedVideoSink, OpenFaceCsvSink, ResultSink
from tracker.sources import open_source
from tracker.sources.decoding import FALLBACK_RATE
from tracker.types import Frame, SourceInfo

_SAMPLES = 100  # of the memory in a run; the slope comes from the later half of them
MIN_SOAK_FRAMES = 1000  # in fewer, buffers that fill once look like a leak


@dataclass(frozen=True, slots=True)
class MemorySample:
    """Resident memory of the process after so many frames."""

    frames: int
    resident_mb: float  # 1e6 bytes


@dataclass(frozen=True, slots=True)
class SoakReport:
    """How memory went."""

    environment: Environment
    video: SourceInfo
    other_load_percent: float  # 0..100 of all cores, used by other programs meanwhile
    model: str
    backend: str
    device: str
    outputs: tuple[str, ...]
    frames: int
    frames_with_face: int
    frames_per_s: float
    memory: tuple[MemorySample, ...]  # at 10 %, 20 % ... 100 % of the frames
    slope_mb_per_1000_frames: float  # least squares over the last half


def soak(
    config: TrackerConfig,
    video: Path,
    frames: int,
    environment: Environment,
    *,
    annotate: bool = False,
    model_dir: Path | None = None,
    report: Callable[[str], None] | None = None,
    on_frame: Callable[[], None] = lambda: None,
) -> SoakReport:
    """Tracks ``frames`` frames, at least ``MIN_SOAK_FRAMES``, and watches the resident memory.

    Args:
        annotate: write an annotated video as well. The files lie in a temporary folder and are deleted.

    Raises:
        FewmarkError: video, model, backend or detector can't be had, or the folder can't be written (full disk).
    """
    if frames < MIN_SOAK_FRAMES:
        raise ValueError(
            f"{frames} frames are too few to tell a leak from buffers that fill: at least {MIN_SOAK_FRAMES}"
        )
    info = open_video(video)
    process = psutil.Process()
    marks = {frames * i // _SAMPLES for i in range(1, _SAMPLES + 1)}
    samples: list[MemorySample] = []
    with_face = 0
    choice = OutputChoice(csv=True, video=annotate)
    with (
        TemporaryDirectory(prefix="fewmark-soak-") as folder,
        open_tracker(config, model_dir=model_dir, report=report) as tracker,
    ):
        load = OtherLoad()
        start = time.perf_counter()
        with ExitStack() as stack:
            scheme = tracker.model.scheme
            paths = choice.paths(Path(folder), "soak", are_stills=False)
            sinks: list[ResultSink] = [stack.enter_context(OpenFaceCsvSink(paths["csv"], scheme, source=info.name))]
            if annotate:
                draw = partial(render, overlays=choice.overlays, context=OverlayContext(scheme))
                sinks.append(stack.enter_context(AnnotatedVideoSink(paths["video"], info, draw)))
            for frame in played_over_and_over(video, frames):
                result = tracker.process(frame)
                for sink in sinks:
                    sink.write(result)
                with_face += bool(result.faces)
                if frame.index + 1 in marks:
                    samples.append(MemorySample(frame.index + 1, round(process.memory_info().rss / 1e6, 2)))
                on_frame()
        seconds = time.perf_counter() - start
        return SoakReport(
            environment=environment,
            video=replace(info, name=Path(info.name).name),
            other_load_percent=load.percent(),
            model=tracker.model.name,
            backend=tracker.backend.name,
            device=tracker.backend.device,
            outputs=tuple(paths),
            frames=frames,
            frames_with_face=with_face,
            frames_per_s=round(frames / seconds, 2),
            memory=tuple(samples[_SAMPLES // 10 - 1 :: _SAMPLES // 10]),
            slope_mb_per_1000_frames=round(memory_slope(samples[_SAMPLES // 2 :]), 3),
        )


def memory_slope(samples: Sequence[MemorySample]) -> float:
    """MB per 1,000 frames, by least squares over two or more samples."""
    x = np.array([sample.frames for sample in samples], np.float64) / 1000
    y = np.array([sample.resident_mb for sample in samples])
    x -= x.mean()
    return float(x @ (y - y.mean()) / (x @ x))


def played_over_and_over(video: Path, count: int) -> Iterator[Frame]:
    """``count`` frames of a video that begins again at its end, with indices and times that go on rising."""
    index, offset_s, time_s = 0, 0.0, 0.0
    while index < count:
        with open_source(video) as source:
            for frame in source:
                if index == count:
                    return
                time_s = offset_s + frame.time_s
                yield replace(frame, index=index, time_s=time_s)
                index += 1
            offset_s = time_s + 1 / (source.info.frame_rate or FALLBACK_RATE)
        gc.collect()  # as run_job does after every source
