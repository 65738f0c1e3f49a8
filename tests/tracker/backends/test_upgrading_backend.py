"""From one backend to a better one while it runs: real backends of the CPU."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event

import numpy as np
import pytest
from installed import needs

from models.errors import FewmarkError
from models.files.model_file import FaceModel
from tracker.backends import Backend, Choice, PassedOver
from tracker.backends.eager import EagerBackend
from tracker.backends.openvino import OpenVinoBackend
from tracker.backends.upgrading import UpgradingBackend
from tracker.config import TrackerConfig
from tracker.files.assets import demo_clip
from tracker.following.pipeline import FaceTracker, open_detector
from tracker.live import EventKind, LiveConfig, LiveEvent, LiveSession, SourceRequest
from tracker.types import ImageArray

PATIENCE_S = 60.0


class WatchedEager(EagerBackend):
    """Eager, that tells when it was closed."""

    def __init__(self, model: FaceModel) -> None:
        super().__init__(model, "cpu")
        self.closed = 0

    def close(self) -> None:
        self.closed += 1
        super().close()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_better_backend_takes_over_between_two_calls(model: FaceModel, crops: ImageArray) -> None:
    needs("openvino", extra="openvino")
    at_hand, may_go_on, made = WatchedEager(model), Event(), Event()

    def make(report: Callable[[str], None]) -> Backend:
        report("half done")
        assert may_go_on.wait(PATIENCE_S)
        backend = OpenVinoBackend(model, precision="f32")
        made.set()
        return backend

    backend = UpgradingBackend(at_hand, "openvino", make)
    refused = (PassedOver("cuda_graphs", "no NVIDIA driver"),)
    choice = Choice(backend, refused)
    wait_until(lambda: choice.passed_over[0].reason == "half done")
    assert choice.passed_over == (PassedOver("openvino", "half done", pending=True), *refused)
    before = backend.predict(crops)
    assert (backend.name, at_hand.closed) == ("eager", 0)
    may_go_on.set()
    assert made.wait(PATIENCE_S)

    def has_taken_over() -> bool:
        backend.predict(crops[:1])
        return backend.name == "openvino"

    wait_until(has_taken_over)
    after = backend.predict(crops)
    assert backend.device.endswith("f32")
    assert at_hand.closed == 1
    assert [better.backend for better in choice.passed_over] == ["cuda_graphs"]
    assert np.abs(after.points - before.points).max() < 0.05
    backend.close()
    assert at_hand.closed == 1


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FewmarkError("backend tensorrt: its engine can't be built"), "its engine can't be built"),
        (ValueError("odd"), "can't be made (ValueError('odd'))"),
    ],
)
def test_if_there_is_none_the_backend_at_hand_goes_on(
    error: Exception, reason: str, model: FaceModel, crops: ImageArray
) -> None:
    def make(_: Callable[[str], None]) -> Backend:
        raise error

    backend = UpgradingBackend(WatchedEager(model), "tensorrt", make)
    wait_until(lambda: backend.pending is not None and not backend.pending.pending)
    assert backend.pending == PassedOver("tensorrt", reason)
    backend.predict(crops[:1])
    assert backend.name == "eager"
    backend.close()


def test_what_is_made_too_late_is_closed(model: FaceModel) -> None:
    at_hand, late, may_go_on = WatchedEager(model), WatchedEager(model), Event()

    def make(_: Callable[[str], None]) -> Backend:
        assert may_go_on.wait(PATIENCE_S)
        return late

    backend = UpgradingBackend(at_hand, "tensorrt", make)
    backend.close()
    assert (at_hand.closed, late.closed) == (1, 0)
    may_go_on.set()
    wait_until(lambda: late.closed == 1)


def test_a_live_session_tells_what_is_coming_and_what_has_come(model: FaceModel) -> None:
    may_go_on = Event()

    class Better(WatchedEager):
        name = "better"

    def make(report: Callable[[str], None]) -> Backend:
        report("its engine is being built (0:01)")
        assert may_go_on.wait(PATIENCE_S)
        return Better(model)

    def make_tracker(config: TrackerConfig) -> FaceTracker:
        choice = Choice(UpgradingBackend(WatchedEager(model), "better", make), ())
        return FaceTracker(model, choice, open_detector(config.detection), config)

    config = LiveConfig(tracker=TrackerConfig(model="fast128"))
    session = LiveSession(config, on_picture=lambda: None, on_event=lambda: None, make_tracker=make_tracker)
    told: list[LiveEvent] = []
    try:
        session.start(SourceRequest(str(demo_clip())))

        def coming() -> bool:
            session.take_picture()
            facts = session.tracker
            return facts is not None and any(better.reason.startswith("its engine") for better in facts.passed_over)

        wait_until(coming)
        assert session.tracker is not None
        assert (session.tracker.backend, session.tracker.passed_over[0].pending) == ("eager", True)
        told += session.take_events()
        may_go_on.set()

        def has_come() -> bool:
            session.take_picture()
            return session.tracker is not None and session.tracker.backend == "better"

        wait_until(has_come)
        assert session.tracker.passed_over == ()

        def is_told() -> bool:
            told.extend(session.take_events())
            return len(ready(told)) == 2

        wait_until(is_told)
    finally:
        may_go_on.set()
        session.close()


def ready(events: list[LiveEvent]) -> list[LiveEvent]:
    """Those that say which tracker runs."""
    return [event for event in events if event.kind is EventKind.TRACKER_READY]
