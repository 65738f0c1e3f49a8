"""Live sessions: real threads, the shipped clip as the camera, and cameras that fail in every way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from threading import Event
from threading import enumerate as all_threads
from typing import Any

import cv2
import numpy as np
import pytest

from models.checkpoint import FaceModel, save_model
from models.crop_rule import CropRule
from models.errors import FewmarkError
from models.face_network import FaceNetwork, FaceNetworkConfig
from models.landmark_schemes import IBUG_68
from models.registry import DEFAULT_MODEL
from tracker.assets import demo_clip
from tracker.config import DetectionConfig, TrackerConfig, TrackingConfig
from tracker.live import (
    CameraWatcher,
    EventKind,
    LiveConfig,
    LiveEvent,
    LivePicture,
    LiveSession,
    LiveView,
    PacedSource,
    SourceRequest,
)
from tracker.overlays import BESIDE
from tracker.pipeline import FaceTracker, open_tracker
from tracker.sources import CameraInfo, CameraSource, FrameSource, open_source

PATIENCE_S = 180.0  # a busy machine is no failure
DEMO = SourceRequest(str(demo_clip()))
CAMERA = CameraInfo("Logitech BRIO", "046d:085e", 2, cv2.CAP_V4L2)
REQUEST = SourceRequest("camera:BRIO", title="Logitech BRIO")
FAIL = object()


class Listener:
    """Owns a session, and keeps what it says."""

    def __init__(self, config: LiveConfig | None = None, **parts: Any) -> None:
        self.heard = Event()
        self.events: list[LiveEvent] = []
        self.pictures: list[LivePicture] = []
        self.session = LiveSession(config or LiveConfig(), on_picture=self.heard.set, on_event=self.heard.set, **parts)

    def until(self, condition: Callable[[], Any]) -> None:
        """Listens until the condition holds."""
        deadline = time.perf_counter() + PATIENCE_S
        while True:
            self.heard.wait(0.05)
            self.heard.clear()
            self.events += self.session.take_events()
            picture = self.session.take_picture()
            if picture is not None:
                self.pictures.append(picture)
            if condition():
                return
            assert time.perf_counter() < deadline, f"not in time; events: {self.events}"

    def has(self, kind: EventKind) -> bool:
        return any(event.kind is kind for event in self.events)

    def text(self, kind: EventKind) -> str:
        return next(event.text for event in reversed(self.events) if event.kind is kind)

    @property
    def last(self) -> LivePicture:
        return self.pictures[-1]


@contextmanager
def listening(config: LiveConfig | None = None, **parts: Any) -> Iterator[Listener]:
    """A session that ends every thread it began."""
    before = set(all_threads())
    listener = Listener(config, **parts)
    try:
        yield listener
    finally:
        assert listener.session.close(PATIENCE_S)
        for thread in set(all_threads()) - before:
            thread.join(PATIENCE_S)  # MediaPipe's own ends a moment after its detector was closed
            assert not thread.is_alive(), f"{thread.name} is still running"


def no_tracker(_config: TrackerConfig) -> FaceTracker:
    raise FewmarkError("no model here; install one")


class ScriptedCapture:
    """A cv2.VideoCapture that plays a script: images; FAIL is a failed grab, a number a pause in seconds."""

    def __init__(self, script: Iterator[Any]) -> None:
        self.script = script
        self.current: Any = FAIL

    def isOpened(self) -> bool:
        return True

    def grab(self) -> bool:
        self.current = next(self.script, FAIL)
        if isinstance(self.current, float):
            time.sleep(self.current)
            return self.grab()
        time.sleep(0.005)
        return self.current is not FAIL

    def retrieve(self) -> tuple[bool, Any]:
        return True, self.current

    def get(self, _prop: int, /) -> float:
        return 30.0

    def set(self, _prop: int, _value: float, /) -> bool:
        return True

    def release(self) -> None:
        pass


def cameras(*scripts: Iterator[Any] | None) -> Callable[[SourceRequest], FrameSource]:
    """Opens a camera with the next script; None: it can't be opened. The last goes on for ever."""
    following = chain(scripts, repeat(scripts[-1]))

    def open_camera(_request: SourceRequest) -> FrameSource:
        script = next(following)
        if script is None:
            raise FewmarkError("camera Logitech BRIO: cannot be opened; close other programs that use it")
        return CameraSource(
            CAMERA,
            open_timeout_s=0.5,
            stall_timeout_s=0.2,
            capture_factory=lambda _index, _backend: ScriptedCapture(script),
        )

    return open_camera


def picture_of(level: int, height: int = 48, width: int = 64) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def demo_image() -> np.ndarray:
    """(720, 1280, 3) BGR, as a camera would give it: one face, in the middle."""
    with open_source(demo_clip()) as source:
        return np.ascontiguousarray(next(iter(source)).image[:, :, ::-1])


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracker.live.capture.RETRY_S", 0.05)


@pytest.fixture(scope="module")
def reconstructing_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model that claims to reconstruct; its weights are random, so that what it shows is noise."""
    import torch

    torch.manual_seed(0)
    network = FaceNetwork(FaceNetworkConfig(68, input_size=128, heatmap_size=64, width=0.25)).eval()
    path = tmp_path_factory.mktemp("models") / "noise.safetensors"
    save_model(path, FaceModel("noise", network, IBUG_68, CropRule(), reconstructs=True))
    return path


def test_the_clip_is_tracked_and_each_overlay_lies_on_its_own_frame() -> None:
    config = LiveConfig(view=LiveView(overlays=("points", "heatmap")))
    with listening(config) as heard:
        heard.session.start(DEMO)
        heard.until(lambda: heard.pictures and heard.last.tracked.result.faces)
        picture = heard.last
        facts = heard.session.tracker
        assert facts is not None
        assert (facts.model, facts.scheme.num_points) == (DEFAULT_MODEL, len(picture.tracked.result.faces[0].points))
        assert [event.kind for event in heard.events][:1] == [EventKind.TRACKER_LOADING]
        assert heard.has(EventKind.TRACKER_READY)
        assert heard.has(EventKind.SOURCE_RUNNING)
        # The image is the result's own frame, changed round the face only.
        frame, (face, *_) = picture.tracked.result.frame, picture.tracked.result.faces
        changed = (picture.image != frame.image).any(axis=2)
        left, top, right, bottom = face.box.xyxy.astype(int)
        assert changed[top:bottom, left:right].any()
        assert not changed[:, : left - face.box.width.__int__()].any()
        assert face.heatmap is not None
        heard.until(lambda: heard.last.crops)
        assert [crop.shape for crop in (heard.last.crops or {}).values()] == [(face.crop_size, face.crop_size, 3)]
        statistics = heard.session.statistics()
        assert statistics.tracking_rate is None or statistics.tracking_rate > 0
        heard.session.stop()
        assert not heard.session.is_capturing


def test_frames_pass_through_until_a_tracker_is_ready() -> None:
    with listening(make_tracker=no_tracker) as heard:
        heard.session.start(DEMO)
        heard.until(lambda: heard.pictures and heard.has(EventKind.TRACKER_FAILED))
        assert heard.text(EventKind.TRACKER_FAILED) == "no model here; install one"
        assert heard.session.tracker is None
        assert heard.last.tracked.result.faces == ()
        assert heard.last.image is heard.last.tracked.result.frame.image
        with pytest.raises(FewmarkError, match="no model is loaded yet"):
            heard.session.start_recording(None)  # type: ignore[arg-type]


def test_a_tracker_that_could_not_be_made_is_tried_again() -> None:
    tries: list[TrackerConfig] = []

    def at_the_second_try(config: TrackerConfig) -> FaceTracker:
        tries.append(config)
        return no_tracker(config) if len(tries) == 1 else open_tracker(config)

    with listening(make_tracker=at_the_second_try) as heard:
        heard.until(lambda: heard.has(EventKind.TRACKER_FAILED))
        heard.session.configure(LiveConfig(mirror=True))
        assert len(tries) == 1  # not by itself: it would fail again
        heard.session.retry_tracker()
        heard.until(lambda: heard.has(EventKind.TRACKER_READY))


def test_another_model_takes_over_while_the_first_goes_on(reconstructing_model: Path) -> None:
    gate = Event()

    def slow_to_switch(config: TrackerConfig) -> FaceTracker:
        if config.model != DEFAULT_MODEL:
            assert gate.wait(PATIENCE_S)
        return open_tracker(config)

    noise = TrackerConfig(model=str(reconstructing_model), backend="eager", tracking=TrackingConfig(min_confidence=0.0))
    with listening(make_tracker=slow_to_switch) as heard:
        heard.session.start(DEMO)
        heard.until(lambda: heard.pictures and heard.last.tracked.tracker)
        view = LiveView(overlays=("reconstruction_in_place", BESIDE), error_map=True, landmark=30)
        heard.session.configure(LiveConfig(tracker=noise, view=view))
        heard.until(lambda: heard.session.is_loading)
        seen = len(heard.pictures)
        heard.until(lambda: len(heard.pictures) >= seen + 3)
        assert heard.last.tracked.result.model == DEFAULT_MODEL
        gate.set()
        heard.until(lambda: heard.last.tracked.result.model == "noise" and heard.last.tracked.result.faces)
        face = heard.last.tracked.result.faces[0]
        assert face.reconstruction is not None
        assert face.reconstruction.shape == (128, 128, 3)
        height, width = heard.last.tracked.result.frame.image.shape[:2]
        assert heard.last.image.shape == (height, 2 * width, 3)
        assert [event.kind for event in heard.events].count(EventKind.TRACKER_READY) == 2
        # Back again, and at once another way: only what is wanted last is made to run.
        heard.session.configure(LiveConfig(tracker=TrackerConfig(backend="eager")))
        heard.session.configure(LiveConfig(tracker=TrackerConfig(detection=DetectionConfig(period_s=1.0))))
        heard.until(lambda: not heard.session.is_loading)
        facts = heard.session.tracker
        assert facts is not None
        assert (facts.model, facts.config.detection.period_s) == (DEFAULT_MODEL, 1.0)


def test_listed_faces_have_reconstructions_and_recorded_ones_only_where_they_are_drawn(
    reconstructing_model: Path,
) -> None:
    noise = TrackerConfig(model=str(reconstructing_model), backend="eager", tracking=TrackingConfig(min_confidence=0.0))
    with listening(LiveConfig(tracker=noise, view=LiveView(overlays=("points",)))) as heard:
        heard.session.start(DEMO)
        heard.until(lambda: heard.pictures and heard.last.tracked.listed)
        (listed, *_), (face, *_) = heard.last.tracked.listed or (), heard.last.tracked.result.faces
        assert listed.reconstruction is not None
        assert listed.reconstruction.shape == (128, 128, 3)
        assert listed.recon_error is not None
        assert set(heard.last.crops or {}) == {face.face_id}
        assert listed.face_id == face.face_id
        assert (face.reconstruction, face.recon_error) == (None, None)
        heard.until(lambda: heard.last.tracked.listed is None)  # not with every frame
        assert heard.last.crops is None


def test_a_bad_model_file_leaves_the_old_one_running(tmp_path: Path) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no model")
    with listening() as heard:
        heard.session.start(DEMO)
        heard.until(lambda: heard.pictures and heard.last.tracked.tracker)
        heard.session.configure(LiveConfig(tracker=TrackerConfig(model=str(broken))))
        heard.until(lambda: heard.has(EventKind.TRACKER_FAILED))
        assert "not a readable model file" in heard.text(EventKind.TRACKER_FAILED)
        seen = len(heard.pictures)
        heard.until(lambda: len(heard.pictures) > seen + 1)
        assert heard.last.tracked.result.model == DEFAULT_MODEL


def test_limits_and_smoothing_change_without_another_tracker() -> None:
    face = demo_image()[:, 300:900]
    twins = np.hstack([face, face[:, ::-1]])
    with listening(open_source=cameras(repeat(twins))) as heard:
        heard.session.start(REQUEST)
        heard.until(lambda: heard.pictures and len(heard.last.tracked.result.faces) == 2)
        one = TrackerConfig(smooth=True, tracking=TrackingConfig(max_faces=1))
        heard.session.configure(LiveConfig(tracker=one))
        heard.until(lambda: len(heard.last.tracked.result.faces) == 1)
        assert [event.kind for event in heard.events].count(EventKind.TRACKER_READY) == 1


def test_the_view_changes_on_a_picture_that_stands_still() -> None:
    config = LiveConfig(view=LiveView(overlays=()))
    with listening(config) as heard:
        heard.session.start(DEMO)
        heard.until(lambda: heard.pictures and heard.last.tracked.result.faces)
        heard.session.stop()
        heard.until(lambda: not heard.session.take_picture() and time.sleep(0.5) is None)
        heard.session.configure(replace(config, view=LiveView(overlays=("box",))))
        heard.until(lambda: not heard.last.is_new)
        assert (heard.last.image != heard.last.tracked.result.frame.image).any()


def test_a_mirrored_session_shows_and_tracks_the_mirror_image() -> None:
    with listening(LiveConfig(mirror=True), make_tracker=no_tracker) as heard:
        heard.session.start(DEMO)
        heard.until(lambda: heard.pictures)
        index = heard.pictures[0].tracked.result.frame.index
        with open_source(demo_clip()) as source:
            original = next(frame for frame in source if frame.index == index)
        assert (heard.pictures[0].image == original.image[:, ::-1]).all()


def test_a_camera_that_goes_away_is_opened_again() -> None:
    first = chain(repeat(picture_of(10), 8), repeat(FAIL))
    again = repeat(picture_of(200))
    with listening(make_tracker=no_tracker, open_source=cameras(first, None, None, again)) as heard:
        heard.session.start(REQUEST)
        heard.until(lambda: heard.has(EventKind.SOURCE_LOST))
        assert "no frame for 0.2 s" in heard.text(EventKind.SOURCE_LOST)
        assert heard.text(EventKind.SOURCE_LOST).endswith("It is tried again until it is there.")
        heard.until(lambda: heard.pictures and heard.last.image[0, 0, 0] == 200)
        kinds = [event.kind for event in heard.events]
        assert kinds.count(EventKind.SOURCE_RUNNING) == 2
        assert kinds.count(EventKind.SOURCE_FAILED) == 1  # told once, though it failed twice
        times = [picture.tracked.result.frame.time_s for picture in heard.pictures]
        assert (np.diff(times) > 0).all()


def test_a_camera_that_stalls_is_told_and_its_return_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracker.live.capture.STALL_S", 0.3)
    script = chain(repeat(picture_of(10), 5), [1.0], repeat(picture_of(20)))
    with listening(make_tracker=no_tracker, open_source=cameras(script)) as heard:
        heard.session.start(REQUEST)
        heard.until(lambda: heard.has(EventKind.SOURCE_STALLED))
        assert heard.text(EventKind.SOURCE_STALLED).startswith("Logitech BRIO: no picture for")
        heard.until(lambda: [event.kind for event in heard.events].count(EventKind.SOURCE_RUNNING) == 2)
        assert not heard.has(EventKind.SOURCE_LOST)


def test_garbage_between_frames_and_another_size_do_no_harm() -> None:
    garbage: list[Any] = [None, "garbage", np.zeros((4, 4, 2), np.uint8), np.zeros((0, 4, 3), np.uint8)]
    script = chain(repeat(picture_of(10), 5), garbage, repeat(picture_of(30, 30, 40)))
    with listening(make_tracker=no_tracker, open_source=cameras(script)) as heard:
        heard.session.start(REQUEST)
        heard.until(lambda: heard.pictures and heard.last.image.shape == (30, 40, 3))
        assert heard.text(EventKind.SOURCE_NOTE) == "Logitech BRIO: now 40x30, it was 64x48."


def test_a_tracker_lives_through_another_size_of_its_frames() -> None:
    image = demo_image()
    small = cv2.resize(image, None, fx=0.5, fy=0.5)
    script = chain(repeat(image, 200), repeat(small))
    with listening(open_source=cameras(script)) as heard:
        heard.session.start(REQUEST)
        heard.until(
            lambda: heard.pictures and heard.last.image.shape[1] == small.shape[1] and heard.last.tracked.result.faces
        )
        right = heard.last.tracked.result.faces[0].box.xyxy[2]
        assert right < small.shape[1]
        assert not heard.has(EventKind.FAULT)


def test_a_file_that_is_no_video_is_not_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"no film")
    with listening(make_tracker=no_tracker) as heard:
        heard.session.start(SourceRequest(str(path)))
        heard.until(lambda: heard.has(EventKind.SOURCE_FAILED))
        assert "film.mp4: cannot be opened as a video" in heard.text(EventKind.SOURCE_FAILED)
        heard.until(lambda: not heard.session.is_capturing)


def test_an_unexpected_error_is_told_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_request: SourceRequest) -> FrameSource:
        raise RuntimeError("the driver lost its mind")

    with listening(make_tracker=no_tracker, open_source=broken) as heard:
        heard.session.start(REQUEST)
        heard.until(lambda: heard.has(EventKind.FAULT))
        assert "the driver lost its mind" in heard.text(EventKind.FAULT)
    assert "the driver lost its mind" in caplog.text


def test_a_fault_while_tracking_lets_the_video_go_on(caplog: pytest.LogCaptureFixture) -> None:
    def breaks_down(config: TrackerConfig) -> FaceTracker:
        tracker = open_tracker(config)
        tracker.close()  # its detector can't be used any more
        return tracker

    with listening(make_tracker=breaks_down) as heard:
        heard.session.start(DEMO)
        heard.until(lambda: heard.has(EventKind.FAULT))
        seen = len(heard.pictures)
        heard.until(lambda: len(heard.pictures) > seen + 1)
        assert heard.session.tracker is None
    assert "tracking failed" in caplog.text
    assert "ValueError" in caplog.text or "RuntimeError" in caplog.text


def test_another_source_takes_over_and_the_old_one_says_no_more() -> None:
    with listening(make_tracker=no_tracker, open_source=cameras(repeat(picture_of(1)), repeat(picture_of(2)))) as heard:
        for number in (1, 2):
            heard.session.start(replace(REQUEST, title=f"camera {number}"))
            heard.until(lambda number=number: heard.pictures and heard.last.image[0, 0, 0] == number)
        assert not heard.has(EventKind.SOURCE_ENDED)
        heard.session.stop()
        heard.until(lambda: True)
        assert heard.session.statistics().capture_rate is None


def test_a_recording_without_end_ends_at_its_end() -> None:
    once = partial(PacedSource, partial(open_source, demo_clip(), end_s=0.2), loop=False)
    with listening(make_tracker=no_tracker, open_source=lambda _request: once()) as heard:
        heard.session.start(DEMO)
        heard.until(lambda: heard.has(EventKind.SOURCE_ENDED))
        assert not heard.session.is_capturing


def test_cameras_that_come_and_go_are_noticed() -> None:
    found: list[list[CameraInfo]] = [[], [CAMERA], [CAMERA]]
    changes: list[float] = []

    def look() -> list[CameraInfo]:
        if not found:
            raise RuntimeError("the system's list is broken")
        return found.pop(0)

    watcher = CameraWatcher(lambda: changes.append(time.perf_counter()), find=look, poll_s=0.01)
    deadline = time.perf_counter() + PATIENCE_S
    while found and time.perf_counter() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)  # for a look that fails
    watcher.stop()
    assert watcher.join(PATIENCE_S)
    assert watcher.cameras == (CAMERA,)  # a failed look changes nothing
    assert len(changes) == 2  # none, then one
