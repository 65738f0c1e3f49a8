"""Memory over a long run: one video over and over through the tracker and into one set of files."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import psutil

from models.landmark_schemes import LandmarkScheme
from tracker.batch import OutputChoice
from tracker.bench.environment import Environment, OtherLoad
from tracker.bench.measurement import open_video
from tracker.config import TrackerConfig
from tracker.following.pipeline import open_tracker
from tracker.overlays import OverlayContext, render
from tracker.sinks import AnnotatedVideoSink, OpenFaceCsvSink, ResultSink, ThreadedSink
from tracker.sources import open_source
from tracker.sources.media_facts import FALLBACK_RATE
from tracker.types import Frame, SourceInfo

_SAMPLES = 200  # of the memory in a run
_SHOWN = 10  # of them, evenly spread, are reported
_WARM_UP = 0.5  # share of the frames during which buffers fill that then stay
_BATCHES = 10  # of the samples after it, see ``memory_slope``
_T_975 = 2.306  # Student's t, 97.5 %, for the batches less the line's two parameters
MIN_SOAK_FRAMES = 1000  # in fewer, buffers that fill once look like a leak


@dataclass(frozen=True, slots=True)
class MemorySample:
    """Resident memory of the process after so many frames."""

    frames: int
    resident_mb: float  # 1e6 bytes


@dataclass(frozen=True, slots=True)
class MemorySlope:
    """Growth of the resident memory, with the range in which the true one lies with 95 % confidence."""

    mb_per_1000_frames: float  # 1e6 bytes
    low: float
    high: float

    @property
    def is_growth(self) -> bool:
        """Whether it can be told from none."""
        return self.low > 0


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
    warm_up_frames: int  # of them, before the slope
    slope: MemorySlope


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
            paths = choice.paths(Path(folder), "soak", are_stills=False)
            sinks = [stack.enter_context(sink) for sink in _open_sinks(paths, info, tracker.model.scheme, choice)]
            for frame in played_over_and_over(video, frames):
                result = tracker.process(frame, recorded=True)
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
            memory=tuple(samples[_SAMPLES // _SHOWN - 1 :: _SAMPLES // _SHOWN]),
            warm_up_frames=round(_WARM_UP * frames),
            slope=memory_slope(samples[round(_WARM_UP * _SAMPLES) :]),
        )


def _open_sinks(
    paths: dict[str, Path], info: SourceInfo, scheme: LandmarkScheme, choice: OutputChoice
) -> Iterator[ResultSink]:
    yield ThreadedSink([OpenFaceCsvSink(paths["csv"], scheme, source=info.name)])
    if "video" in paths:
        draw = partial(render, overlays=choice.overlays, context=OverlayContext(scheme))
        yield AnnotatedVideoSink(paths["video"], info, draw)


def memory_slope(samples: Sequence[MemorySample]) -> MemorySlope:
    """The least-squares line through the means of ten batches of consecutive samples.

    Memory goes in steps, so that neighbouring samples say nearly the same; as many independent ones would make the
    interval far too narrow. Means of long batches are nearly independent (the method of batch means).

    Args:
        samples: evenly spaced, twenty or more.
    """
    batches = np.array_split(np.array([(sample.frames / 1000, sample.resident_mb) for sample in samples]), _BATCHES)
    x, y = np.array([batch.mean(axis=0) for batch in batches]).T
    x -= x.mean()
    y -= y.mean()
    slope = float(x @ y / (x @ x))
    residuals = y - slope * x
    error = math.sqrt(float(residuals @ residuals) / (_BATCHES - 2) / float(x @ x))
    low, high = slope - _T_975 * error, slope + _T_975 * error
    return MemorySlope(round(slope, 3), round(low, 3), round(high, 3))


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
