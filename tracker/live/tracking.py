"""The pipeline thread: the newest frame through the tracker, by the newest config.

A tracker is made, used and closed by one thread. When another one is needed, a new thread makes it while the thread
before goes on with the old one, and takes over once it is ready: video and results never stop meanwhile. Before the
first tracker is ready, and without any, frames pass through without faces.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Event, Lock, Thread

import cv2
import numpy as np

from models.errors import FewmarkError
from models.registry import model_title
from tracker.config import TrackerConfig
from tracker.following.pipeline import FaceTracker, most_faces, needs_another_tracker
from tracker.live.capture import CapturedFrame
from tracker.live.events import EventKind, LiveEvent, Report
from tracker.live.loading import TrackerFacts, TrackerMaker, close_tracker, facts_of, load_tracker
from tracker.live.mailbox import Handover, Mailbox, RateMeter
from tracker.live.settings import LiveConfig
from tracker.types import Frame, SourceInfo, TrackedFace, TrackingResult

_log = logging.getLogger(__name__)

_WAIT_S = 0.2  # for a frame; so often a thread looks whether it is still wanted
_LIST_EVERY_S = 0.2  # a list of faces need not follow every frame


@dataclass(frozen=True, slots=True, eq=False)
class TrackedFrame:
    """A result on its way to be drawn."""

    result: TrackingResult
    captured_s: float  # perf_counter
    config: LiveConfig  # by which it was made
    tracker: TrackerFacts | None  # None: no tracker was ready
    info: SourceInfo
    listed: tuple[TrackedFace, ...] | None = None  # some times a second, for a list of faces: with reconstructions


class TrackingStage:
    """Owns the pipeline threads: at most one that tracks and one that makes the next tracker."""

    def __init__(
        self,
        frames: Mailbox[CapturedFrame],
        results: Handover[TrackedFrame],
        report: Report,
        config: LiveConfig,
        make_tracker: TrackerMaker,
    ) -> None:
        self.rate = RateMeter()  # of frames that a tracker has seen
        self._frames, self._results, self._report = frames, results, report
        self._make_tracker = make_tracker
        self._lock = Lock()
        self._turn = Lock()  # held from taking a frame to handing its result over: results keep their order
        self._config = config
        self._is_used = False  # no tracker is made before somebody wants to see one
        self._attempted: TrackerConfig | None = None  # of the last tracker that was made, or tried to
        self._maker: _Worker | None = None
        self._gave_up = False  # the maker, as something else was wanted by then
        self._closing = Event()
        self._workers: list[_Worker] = []
        self._active = self._add_worker(None)
        self._active.start()

    @property
    def facts(self) -> TrackerFacts | None:
        """The tracker that runs now; None before the first is ready."""
        return self._active.facts

    @property
    def is_loading(self) -> bool:
        """Whether another tracker is being made."""
        return self._maker is not None

    @property
    def config(self) -> LiveConfig:
        return self._config

    def configure(self, config: LiveConfig) -> None:
        """Takes effect with the next frame; what needs another tracker, once that is ready."""
        with self._lock:
            self._config = config
            self._make_if_needed()

    def load(self) -> None:
        """Makes the wanted tracker from now on; again, if it could not be made, or failed."""
        with self._lock:
            self._is_used = True
            if self._maker is None and not self._runs(self._config.tracker):
                self._attempted = None
                self._make_if_needed()

    def stop(self) -> None:
        """Asks the threads to end; returns at once."""
        with self._lock:
            self._closing.set()

    def join(self, timeout_s: float) -> bool:
        """Waits for their end; False if one has not ended within ``timeout_s``: making a tracker can't be stopped."""
        deadline = time.perf_counter() + timeout_s
        for worker in list(self._workers):
            worker.join(max(deadline - time.perf_counter(), 0.0))
        return not any(worker.is_alive() for worker in self._workers)

    # With the lock held.

    def _runs(self, wanted: TrackerConfig) -> bool:
        facts = self._active.facts
        return facts is not None and not needs_another_tracker(facts.config, wanted)

    def _make_if_needed(self) -> None:
        wanted = self._config.tracker
        if self._closing.is_set() or not self._is_used:
            return
        if self._maker is not None:  # it looks itself whether its tracker is still wanted
            return
        if self._runs(wanted):
            self._attempted = wanted
        elif self._attempted is None or needs_another_tracker(self._attempted, wanted):
            self._attempted = wanted
            self._maker = self._add_worker(wanted)
            self._maker.start()

    def _add_worker(self, config: TrackerConfig | None) -> _Worker:
        worker = _Worker(self._run, config)
        self._workers = [*(other for other in self._workers if other.is_alive()), worker]
        return worker

    # In a worker's thread.

    def _run(self, worker: _Worker) -> None:
        if worker.config is not None:
            tracker = self._make(worker, worker.config)
            if tracker is None:
                return
            try:
                self._track(worker, tracker)
                return
            except Exception as error:
                _log.exception("tracking failed")
                worker.facts = None
                self._tell(EventKind.FAULT, f"Tracking failed ({error!r}). Start it again, or choose another model.")
            finally:
                close_tracker(tracker)
        self._track(worker, None)

    def _make(self, worker: _Worker, config: TrackerConfig) -> FaceTracker | None:
        """The tracker that is wanted, and the worker in charge; None if it can't be made or is not wanted any more."""
        while True:
            self._tell(EventKind.TRACKER_LOADING, f"Loading model {model_title(config.model)} ...")
            tracker, failure = load_tracker(config, self._make_tracker, self._report_loading)
            with self._lock:
                wanted = self._config.tracker
                overtaken = self._gave_up or needs_another_tracker(config, wanted)
                self._gave_up = False
                if tracker is not None and not overtaken and not self._closing.is_set():
                    self._maker, self._active, worker.facts = None, worker, facts_of(tracker)
                    break
                done = self._closing.is_set() or not overtaken or self._runs(wanted)
                if done:
                    self._maker = None
                self._attempted = config = wanted
            if tracker is not None:
                close_tracker(tracker)
            elif not overtaken:
                self._tell(EventKind.TRACKER_FAILED, failure)
            if done:
                return None
        self._tell_ready(tracker)
        return tracker

    def _report_loading(self, text: str) -> None:
        """What the tracker that is being made waits for, such as its engine.

        Raises:
            FewmarkError: nobody wants it any more; the maker goes on to what is wanted now.
        """
        with self._lock:
            overtaken = self._attempted is None or needs_another_tracker(self._attempted, self._config.tracker)
            if self._closing.is_set() or overtaken:
                self._gave_up = True
                raise FewmarkError("another tracker is wanted")
        self._tell(EventKind.TRACKER_LOADING, text)

    def _track(self, worker: _Worker, tracker: FaceTracker | None) -> None:
        """Until it is another worker's turn; without a tracker frames pass through."""
        continuity: tuple[object, ...] = ()
        listed_s = 0.0  # perf_counter
        said_most = 0  # of how many faces it was said that there are more
        while True:
            with self._turn:
                if self._closing.is_set() or self._active is not worker:
                    return
                captured = self._frames.take(_WAIT_S)
                if captured is None:
                    continue
                config = self._config
                frame = _mirrored(captured.frame) if config.mirror else captured.frame
                result, listed = TrackingResult(frame, ()), None
                if tracker is not None:
                    run = captured.capture, captured.round
                    before, continuity = continuity, (run, config.mirror, frame.image.shape)
                    if before and before != continuity:
                        tracker.reset(restart_ids=before[0] != run)
                    is_listed = time.perf_counter() - listed_s >= _LIST_EVERY_S
                    listed_s = time.perf_counter() if is_listed else listed_s
                    result, listed = _process(tracker, frame, config, is_listed=is_listed)
                    self.rate.tick()
                    most = most_faces(config.tracker.tracking)
                    if result.left_out and said_most != most:
                        said_most = most
                        self._tell(
                            EventKind.SOURCE_NOTE,
                            f"There are {result.left_out} more faces than the {most} that are followed: raise how many "
                            "there are at most.",
                        )
                    self._watch_backend(worker, tracker)
                tracked = TrackedFrame(result, captured.captured_s, config, worker.facts, captured.info, listed)
                while not self._results.put(tracked, _WAIT_S):
                    if self._closing.is_set():
                        return

    def _watch_backend(self, worker: _Worker, tracker: FaceTracker) -> None:
        """A better backend may be on its way, and has taken over when its time came."""
        facts = worker.facts
        if facts is None or (facts.backend, facts.passed_over) == (tracker.backend.name, tracker.backends_passed_over):
            return
        worker.facts = facts_of(tracker)
        if facts.backend != tracker.backend.name:
            self._tell_ready(tracker)

    def _tell_ready(self, tracker: FaceTracker) -> None:
        self._tell(EventKind.TRACKER_READY, f"{tracker.model.name} runs on {tracker.backend.device}.")

    def _tell(self, kind: EventKind, text: str) -> None:
        self._report(LiveEvent(kind, text))


class _Worker(Thread):
    """A thread that makes the tracker of ``config`` and runs it; without a config it passes frames through."""

    def __init__(self, run: Callable[[_Worker], None], config: TrackerConfig | None) -> None:
        super().__init__(name="tracking" if config else "passing through", daemon=True)
        self.config = config
        self.facts: TrackerFacts | None = None  # once its tracker runs
        self._work = run

    def run(self) -> None:
        self._work(self)


def _process(
    tracker: FaceTracker, frame: Frame, config: LiveConfig, *, is_listed: bool
) -> tuple[TrackingResult, tuple[TrackedFace, ...] | None]:
    """What is drawn and recorded, as the view asks for it; and the faces for a list, if they are listed."""
    if tracker.config != config.tracker and not needs_another_tracker(tracker.config, config.tracker):
        tracker.reconfigure(config.tracker)
    view = config.view
    known = view.landmark is not None and view.landmark < tracker.model.scheme.num_points
    result = tracker.process(
        frame,
        heatmaps=view.heatmaps,
        heatmap_of=view.landmark if known else None,
        reconstructions=(view.reconstructions or is_listed) and not tracker.model.why_no_reconstruction,
    )
    listed = result.faces if is_listed else None
    if not view.reconstructions:  # nor are there any in the rows of a recording, a few in between
        faces = tuple(replace(face, reconstruction=None, recon_error=None) for face in result.faces)
        result = replace(result, faces=faces)
    return result, listed


def _mirrored(frame: Frame) -> Frame:
    return replace(frame, image=np.asarray(cv2.flip(frame.image, 1), np.uint8))
