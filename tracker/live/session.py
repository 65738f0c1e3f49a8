"""A live session: a source, a tracker, what is shown of them, and what is recorded. Knows no window.

capture thread -> mailbox of one -> pipeline thread -> one at a time -> render thread -> mailbox of one -> whoever shows

Frames are lost at one place only: the capture thread replaces the one that the pipeline has not taken yet, and counts
it. Everything that was tracked is drawn, and offered to the recorder.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, Thread

from models.errors import FewmarkError
from tracker.config import TrackerConfig
from tracker.following.pipeline import FaceTracker, open_tracker
from tracker.live.capture import Capture, CapturedFrame
from tracker.live.events import EventKind, LiveEvent
from tracker.live.loading import TrackerFacts, TrackerMaker
from tracker.live.mailbox import Handover, Mailbox
from tracker.live.memory import settle_memory
from tracker.live.playback import open_live_source
from tracker.live.recording import Recorder
from tracker.live.rendering import LivePicture, RenderStage
from tracker.live.settings import LiveConfig, RecordingPlan, SourceRequest
from tracker.live.snapshot import start_snapshot
from tracker.live.tracking import TrackedFrame, TrackingStage
from tracker.sources import FrameSource
from tracker.types import ImageArray

RECORDING_END_S = 10.0  # what a recording may take to be completed when the session closes


@dataclass(frozen=True, slots=True)
class LiveStatistics:
    """How a session is doing."""

    capture_rate: float | None  # frames/s that the source gives
    tracking_rate: float | None  # frames/s that the tracker has seen
    replaced: int  # frames of this source that a newer one took the place of before they were tracked
    recorded_frames: int
    recorded_s: float
    recording_dropped: int  # pictures that the encoders had no time for


class LiveSession:
    """Starts and ends the threads. Its methods are called from one thread and return at once; only ``join`` and
    ``close`` wait."""

    def __init__(
        self,
        config: LiveConfig,
        *,
        on_picture: Callable[[], None],
        on_event: Callable[[], None],
        open_source: Callable[[SourceRequest], FrameSource] = open_live_source,
        make_tracker: Callable[[TrackerConfig], FaceTracker] | None = None,
    ) -> None:
        """
        Args:
            on_picture: is called, from another thread, when there is a picture to take and was none before.
            on_event: likewise for events.
            make_tracker: default: ``open_tracker``, whose engine may get better while it runs.
        """
        settle_memory()
        self._on_picture, self._on_event = on_picture, on_event
        self._open_source = open_source
        self._frames: Mailbox[CapturedFrame] = Mailbox()
        self._results: Handover[TrackedFrame] = Handover()
        self._pictures: Mailbox[LivePicture] = Mailbox()
        self._events: deque[LiveEvent] = deque()
        self._lock = Lock()  # of the events
        self._capture: Capture | None = None
        self._captures: list[Capture] = []  # also those that are still ending
        self._number = 0
        self._recorder: Recorder | None = None
        self._recorders: list[Recorder] = []
        self._snapshots: list[Thread] = []
        self._tracking = TrackingStage(self._frames, self._results, self._report, config, _tracker_maker(make_tracker))
        self._rendering = RenderStage(
            self._results, self._pictures, lambda: self._tracking.config.view, self._deliver, self._report
        )

    # What it should do.

    def start(self, request: SourceRequest) -> None:
        """Shows another source, or the same one anew, with a tracker as ``load_tracker`` makes it."""
        before = self._capture
        self.stop()
        self._frames.clear()
        self._number += 1
        self._capture = Capture(self._number, request, self._open_source, self._frames, self._report, after=before)
        self._captures.append(self._capture)
        self._tracking.load()

    def stop(self) -> None:
        """Ends the source; the tracker and a recording stay."""
        if self._capture is not None:
            self._capture.stop()
            self._capture = None
        self._captures = [capture for capture in self._captures if not capture.join(0)]

    def configure(self, config: LiveConfig) -> None:
        """Takes effect with the next frame; overlays also on the one that is shown."""
        redraw = config.view != self._tracking.config.view
        self._tracking.configure(config)
        if redraw:
            self._rendering.view_changed()

    def load_tracker(self) -> None:
        """Makes the tracker, before a source is started or after it could not be made."""
        self._tracking.load()

    def start_recording(self, plan: RecordingPlan) -> None:
        """Records from the next picture on.

        Raises:
            FewmarkError: no tracker is ready, or the folder can't be made.
        """
        facts = self._tracking.facts
        if facts is None:
            raise FewmarkError("no model is loaded yet, so there are no landmarks to record; wait until it is")
        self.stop_recording()
        self._recorder = Recorder(plan, facts, self._report)
        self._recorders.append(self._recorder)
        self._report(LiveEvent(EventKind.RECORDING_STARTED, f"Recording to {plan.folder}.", path=plan.folder))

    def stop_recording(self) -> None:
        """Completes the recording in the background; an event tells when that is done."""
        if self._recorder is not None:
            self._recorder.finish()
            self._recorder = None
        self._recorders = [recorder for recorder in self._recorders if not recorder.join(0)]

    def snapshot(self, image: ImageArray, folder: Path) -> None:
        """Saves a picture as PNG in the background; an event tells where it is."""
        self._snapshots = [thread for thread in self._snapshots if thread.is_alive()]
        self._snapshots.append(start_snapshot(image, folder, self._report))

    def close(self, timeout_s: float = 2.0) -> bool:
        """``request_end`` and ``join``."""
        self.request_end()
        return self.join(timeout_s)

    def request_end(self) -> None:
        """Begins to end every thread and to complete the recording; returns at once."""
        self.stop_recording()
        self.stop()
        self._tracking.stop()
        self._rendering.stop()

    def join(self, timeout_s: float) -> bool:
        """Waits for that; for a recording up to ``RECORDING_END_S`` longer.

        Returns:
            False if a thread has not ended in time: it loads a model, or waits for a camera's driver. It ends with the
            process.
        """
        deadline = time.perf_counter() + timeout_s

        def left_s() -> float:
            return max(deadline - time.perf_counter(), 0.0)

        ended = [self._rendering.join(left_s()), self._tracking.join(left_s())]
        ended += [capture.join(left_s()) for capture in self._captures]
        for thread in self._snapshots:
            thread.join(left_s())
        ended += [recorder.join(RECORDING_END_S) for recorder in self._recorders]
        return all(ended)

    # What it has to say.

    def take_picture(self) -> LivePicture | None:
        """The newest picture, once."""
        return self._pictures.take()

    def take_events(self) -> list[LiveEvent]:
        """What happened since the last call, oldest first."""
        if self._capture is not None:
            self._capture.watch()
        with self._lock:
            events = list(self._events)
            self._events.clear()
        return events

    @property
    def is_capturing(self) -> bool:
        """Whether frames come, or are waited for."""
        return self._capture is not None and not self._capture.has_ended

    @property
    def is_recording(self) -> bool:
        return self._recorder is not None

    @property
    def is_loading(self) -> bool:
        """Whether another tracker is being made."""
        return self._tracking.is_loading

    @property
    def tracker(self) -> TrackerFacts | None:
        """The tracker that really runs; None before the first is ready."""
        return self._tracking.facts

    def statistics(self) -> LiveStatistics:
        """As of now."""
        recorder = self._recorder
        return LiveStatistics(
            capture_rate=self._capture.rate.rate if self._capture else None,
            tracking_rate=self._tracking.rate.rate if self._capture else None,
            replaced=self._frames.replaced,
            recorded_frames=recorder.frames if recorder else 0,
            recorded_s=recorder.duration_s if recorder else 0.0,
            recording_dropped=recorder.dropped if recorder else 0,
        )

    # In other threads.

    def _report(self, event: LiveEvent) -> None:
        with self._lock:
            was_empty = not self._events
            self._events.append(event)
        if was_empty:
            self._on_event()

    def _deliver(self, picture: LivePicture, was_empty: bool) -> None:
        recorder = self._recorder
        if recorder is not None and picture.is_new:
            recorder.offer(picture)
        if was_empty:
            self._on_picture()


def _tracker_maker(make_tracker: Callable[[TrackerConfig], FaceTracker] | None) -> TrackerMaker:
    if make_tracker is None:
        return lambda config, report: open_tracker(config, report=report, upgrade=True)
    return lambda config, _report: make_tracker(config)
