"""Models, backends and peers on one video: everything in one run, the rounds interleaved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tracker.batch import OutputChoice
from tracker.bench.end_to_end import EndToEnd, Run, output_kinds, run_once, summarise
from tracker.bench.limits import ModelCost, Peak, PeakMeter, Place, computes_on, model_cost
from tracker.bench.network import BATCHES, CALLS, WARM_UP_CALLS, NetworkBench, NetworkTime, crops_from
from tracker.bench.peers import Peer, PeerBench, PeerTime
from tracker.bench.stages import StageBench, StageSamples, StageTime
from tracker.config import TrackerConfig
from tracker.following.pipeline import most_faces, open_detector, open_tracker
from tracker.sources.video_file import VideoFile
from tracker.types import SourceInfo

MAX_STAGE_FRAMES = 60  # of a round: the stages alone vary little, and PyTorch on one thread takes its time
_CHOICES = (OutputChoice(csv=True), OutputChoice(csv=True, video=True))

OnStep = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class BenchPlan:
    """How much is measured."""

    frames: int = 200  # of the video in every pass end to end; a shorter video ends it early
    repeat: int = 3  # rounds
    warm_up: int = 20  # frames before a pass over the stages, and once end to end; more than x264 looks ahead
    batches: tuple[int, ...] = BATCHES

    @property
    def stage_frames(self) -> int:
        return min(self.frames, MAX_STAGE_FRAMES)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one model costs on one backend."""

    model: str
    backend: str
    device: str
    detector: str
    repeats: int
    network: tuple[NetworkTime, ...]  # one a batch size
    stages: dict[str, StageTime]  # all of STAGES; empty but for the first backend of a model
    end_to_end: tuple[EndToEnd, ...]  # without and with the annotated video


@dataclass(frozen=True, slots=True)
class Results:
    """All figures of a run."""

    measurements: tuple[Measurement, ...]  # one for each model and backend
    peers: tuple[PeerTime, ...]
    costs: tuple[ModelCost, ...]  # one for each model
    peaks: tuple[Peak, ...]  # one for each device and number format in use


def open_video(video: Path) -> SourceInfo:
    """Facts of a video file.

    Raises:
        FewmarkError: missing, or not a video.
    """
    with VideoFile(video) as source:
        return source.info


def steps_of(configs: Sequence[TrackerConfig], peers: int, info: SourceInfo, plan: BenchPlan) -> int:
    """How often ``measure`` will call ``on_step``; an estimate where the header's frame count is one."""
    length = info.frame_count or plan.frames + plan.warm_up
    models = len({config.model for config in configs})
    stages = models * 2 * (plan.warm_up + plan.stage_frames)
    network = len(configs) * len(plan.batches) * (WARM_UP_CALLS + CALLS)
    whole = len(configs) * len(_CHOICES) * min(plan.frames, length)
    others = peers * min(plan.warm_up + plan.frames, length)
    return len(configs) * len(_CHOICES) * min(plan.warm_up, length) + plan.repeat * (stages + network + whole + others)


def measure(
    configs: Sequence[TrackerConfig],
    video: Path,
    plan: BenchPlan | None = None,
    *,
    peers: dict[str, Peer] | None = None,
    model_dir: Path | None = None,
    report: Callable[[str], None] | None = None,
    on_step: OnStep = lambda _: None,
) -> Results:
    """Measures everything ``plan.repeat`` times in turn, so that a slow spell of the machine hits all alike.

    Args:
        configs: a model and a backend each, no two alike.
        peers: name -> other trackers to measure in the same rounds.
        model_dir: where the user keeps detector files.
        report: receives a line for a person when a file has to be obtained or an engine is built.
        on_step: receives the name of the pass with every frame or call.

    Raises:
        FewmarkError: video, model, backend or detector can't be had, or there is no face in the video.
    """
    plan, info = plan or BenchPlan(), open_video(video)
    with ExitStack() as stack:
        subjects: list[_Subject] = []
        for config in configs:
            first = all(config.model != other.config.model for other in subjects)
            subject = _Subject(config, video, info, plan, first, stack, model_dir, report)
            subject.warm_up(on_step)
            subjects.append(subject)
        most = max((most_faces(config.tracking) for config in configs), default=1)
        others = [PeerBench(name, peer, video, most) for name, peer in (peers or {}).items()]
        places = dict.fromkeys(place for subject in subjects if (place := computes_on(subject.tracker.backend)))
        meters = {place: PeakMeter(*place) for place in places}
        for _ in range(plan.repeat):
            for meter in meters.values():
                meter.run()
            for subject in subjects:
                subject.run(on_step)
            for other in others:
                other.run(plan.frames, plan.warm_up, partial(on_step, "peers"))
        peaks = {place: meter.peak() for place, meter in meters.items()}
        costs = {subject.config.model: subject.cost for subject in subjects}
        return Results(
            measurements=tuple(subject.summary(peaks) for subject in subjects),
            peers=tuple(other.summary() for other in others),
            costs=tuple(costs.values()),
            peaks=tuple(peaks.values()),
        )


class _Subject:
    """One model on one backend, with what its rounds have given so far."""

    def __init__(
        self,
        config: TrackerConfig,
        video: Path,
        info: SourceInfo,
        plan: BenchPlan,
        with_stages: bool,
        stack: ExitStack,
        model_dir: Path | None,
        report: Callable[[str], None] | None,
    ) -> None:
        self.config, self._video, self._plan = config, video, plan
        self.tracker = stack.enter_context(open_tracker(config, model_dir=model_dir, report=report))
        self.cost = model_cost(self.tracker.model)
        crops = crops_from(video, self.tracker, max(plan.batches))
        self._network = NetworkBench(self.tracker.backend, crops, plan.batches)
        self._samples = StageSamples()
        self._runs: dict[OutputChoice, list[Run]] = {choice: [] for choice in _CHOICES}
        self._stages: StageBench | None = None
        if with_stages:
            detector = open_detector(config.detection, model_dir=model_dir, report=report)
            stack.enter_context(closing(detector))
            self._stages = StageBench(self.tracker, detector, video, info)

    def warm_up(self, on_step: OnStep) -> None:
        for choice in _CHOICES:
            run_once(self.tracker, self._video, choice, self._plan.warm_up, partial(on_step, "warm-up"))

    def run(self, on_step: OnStep) -> None:
        """One round."""
        plan = self._plan
        self._network.run(partial(on_step, "network"))
        if self._stages is not None:
            self._stages.run(
                self._samples, plan.stage_frames, warm_up=plan.warm_up, on_frame=partial(on_step, "stages")
            )
        for choice, runs in self._runs.items():
            on_frame = partial(on_step, f"end to end, {' + '.join(output_kinds(choice))}")
            runs.append(run_once(self.tracker, self._video, choice, plan.frames, on_frame))

    def summary(self, peaks: Mapping[Place, Peak]) -> Measurement:
        backend = self.tracker.backend
        place = computes_on(backend)
        return Measurement(
            model=self.tracker.model.name,
            backend=backend.name,
            device=backend.device,
            detector=self.config.detection.detector,
            repeats=self._plan.repeat,
            network=self._network.summary(self.cost, None if place is None else peaks[place]),
            stages=self._samples.summary() if self._stages is not None else {},
            end_to_end=tuple(summarise(choice, runs) for choice, runs in self._runs.items()),
        )
