"""Trackers of a live session: made, exchanged, failing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import chain, repeat
from pathlib import Path
from threading import Event
from typing import Any

import cv2
import numpy as np
import pytest

from models.errors import FewmarkError
from models.files.model_file import FaceModel
from models.registry import DEFAULT_MODEL
from tracker.backends import BACKENDS, Prediction
from tracker.backends.eager import EagerBackend
from tracker.config import DetectionConfig, TrackerConfig, TrackingConfig
from tracker.files.assets import demo_clip
from tracker.following.pipeline import FaceTracker, open_tracker
from tracker.live import EventKind, LiveConfig, LiveView, PacedSource, SourceRequest
from tracker.overlays import BESIDE
from tracker.sources import open_source
from tracker.sources.base import SingleUseSource
from tracker.types import Frame, ImageArray, SourceInfo

PATIENCE_S = 180.0  # a busy machine is no failure
Listening = Callable[..., AbstractContextManager[Any]]  # a session that ends every thread it began
DEMO = SourceRequest(str(demo_clip()))


def no_tracker(_config: TrackerConfig) -> FaceTracker:
    raise FewmarkError("no model here; install one")


class StillCamera(SingleUseSource):
    """Shows images, one after the other, and the last one for ever."""

    def __init__(self, images: Sequence[ImageArray]) -> None:
        super().__init__("still")
        height, width = images[0].shape[:2]
        self.info = SourceInfo("still", width, height, 30.0, None, is_live=True)
        self._images = images

    def _iterate(self) -> Iterator[Frame]:
        for index, image in enumerate(chain(self._images, repeat(self._images[-1]))):
            time.sleep(0.005)
            yield Frame(image, index, time.perf_counter())


class ShortFilm(SingleUseSource):
    """A recording of five frames a second."""

    def __init__(self, images: Sequence[ImageArray]) -> None:
        super().__init__("film")
        height, width = images[0].shape[:2]
        self.info = SourceInfo("film", width, height, 5.0, len(images), is_live=False)
        self._images = images

    def _iterate(self) -> Iterator[Frame]:
        for index, image in enumerate(self._images):
            yield Frame(image, index, index / 5)


def demo_image() -> ImageArray:
    """(720, 1280, 3), one face, in the middle."""
    with open_source(demo_clip()) as source:
        return next(iter(source)).image


def test_frames_pass_through_until_a_tracker_is_ready(listening: Listening) -> None:
    with listening(make_tracker=no_tracker) as heard:
        heard.session.start(DEMO)
        heard.until(lambda: heard.pictures and heard.has(EventKind.TRACKER_FAILED))
        assert heard.text(EventKind.TRACKER_FAILED) == "no model here; install one"
        assert heard.session.tracker is None
        assert heard.last.tracked.result.faces == ()
        assert heard.last.image is heard.last.tracked.result.frame.image
        with pytest.raises(FewmarkError, match="no model is loaded yet"):
            heard.session.start_recording(None)  # type: ignore[arg-type]


def test_a_tracker_that_could_not_be_made_is_tried_again(listening: Listening) -> None:
    tries: list[TrackerConfig] = []

    def at_the_second_try(config: TrackerConfig) -> FaceTracker:
        tries.append(config)
        return no_tracker(config) if len(tries) == 1 else open_tracker(config)

    with listening(make_tracker=at_the_second_try) as heard:
        assert tries == []  # nobody has asked for one
        heard.session.load_tracker()
        heard.until(lambda: heard.has(EventKind.TRACKER_FAILED))
        heard.session.configure(LiveConfig(mirror=True))
        assert len(tries) == 1  # not by itself: it would fail again
        heard.session.load_tracker()
        heard.until(lambda: heard.has(EventKind.TRACKER_READY))


def test_another_model_takes_over_while_the_first_goes_on(listening: Listening, reconstructing_model: Path) -> None:
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


def test_a_bad_model_file_leaves_the_old_one_running(listening: Listening, tmp_path: Path) -> None:
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


def test_a_model_that_fails_at_its_first_request_leaves_the_old_one_running(
    listening: Listening, reconstructing_model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> Prediction:
        raise RuntimeError("out of memory")

    with listening() as heard:
        heard.session.start(DEMO)
        heard.until(lambda: heard.pictures and heard.last.tracked.tracker)
        monkeypatch.setattr(EagerBackend, "predict", fails)
        noise = TrackerConfig(model=str(reconstructing_model), backend="eager")
        heard.session.configure(LiveConfig(tracker=noise))
        heard.until(lambda: heard.has(EventKind.TRACKER_FAILED))
        assert "noise.safetensors: can't be used here" in heard.text(EventKind.TRACKER_FAILED)
        seen = len(heard.pictures)
        heard.until(lambda: len(heard.pictures) > seen + 1)
        assert heard.last.tracked.result.model == DEFAULT_MODEL
    assert "out of memory" in caplog.text


def test_who_waits_for_an_engine_may_choose_something_else(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NeverReady:
        """Waits for its engine as TensorRT does, and says how long already."""

        def __init__(self, _model: FaceModel, *, report: Callable[[str], None]) -> None:
            for seconds in range(10000):
                report(f"its engine is being built ({seconds})")
                time.sleep(0.05)

    monkeypatch.setitem(BACKENDS, "tensorrt", NeverReady)
    with listening(LiveConfig(tracker=TrackerConfig(backend="tensorrt"))) as heard:
        heard.session.start(DEMO)
        heard.until(lambda: heard.has(EventKind.TRACKER_LOADING) and "(2)" in heard.text(EventKind.TRACKER_LOADING))
        heard.session.configure(LiveConfig(tracker=TrackerConfig(backend="eager")))
        heard.until(lambda: heard.pictures and heard.last.tracked.tracker)
        assert heard.last.tracked.result.backend == "eager"
        assert not heard.has(EventKind.TRACKER_FAILED)
        heard.session.configure(LiveConfig(tracker=TrackerConfig(backend="tensorrt")))
        heard.until(lambda: heard.session.is_loading)


def test_limits_and_smoothing_change_without_another_tracker(listening: Listening) -> None:
    face = demo_image()[:, 300:900]
    twins = np.hstack([face, face[:, ::-1]])
    with listening(open_source=lambda _request: StillCamera([twins])) as heard:
        heard.session.start(DEMO)
        heard.until(lambda: heard.pictures and len(heard.last.tracked.result.faces) == 2)
        one = TrackerConfig(smooth=True, tracking=TrackingConfig(max_faces=1))
        heard.session.configure(LiveConfig(tracker=one))
        heard.until(lambda: len(heard.last.tracked.result.faces) == 1)
        assert [event.kind for event in heard.events].count(EventKind.TRACKER_READY) == 1


def test_a_tracker_lives_through_another_size_of_its_frames(listening: Listening) -> None:
    image = demo_image()
    small = np.asarray(cv2.resize(image, None, fx=0.5, fy=0.5), np.uint8)
    with listening(open_source=lambda _request: StillCamera([*[image] * 200, small])) as heard:
        heard.session.start(DEMO)
        heard.until(
            lambda: heard.pictures and heard.last.image.shape[1] == small.shape[1] and heard.last.tracked.result.faces
        )
        right = heard.last.tracked.result.faces[0].box.xyxy[2]
        assert right < small.shape[1]
        assert not heard.has(EventKind.FAULT)


def test_ids_start_again_with_every_round_of_a_film(listening: Listening) -> None:
    image = demo_image()
    mirrored = np.ascontiguousarray(image[:, ::-1])  # a face elsewhere, which gets an id of its own
    film = [image] * 4 + [mirrored] * 4
    with listening(open_source=lambda _request: PacedSource(lambda: ShortFilm(film))) as heard:
        heard.session.load_tracker()
        heard.until(lambda: heard.has(EventKind.TRACKER_READY))
        heard.session.start(DEMO)
        heard.until(lambda: heard.pictures and heard.last.tracked.result.frame.index > 4 * len(film))
        assert {face.face_id for picture in heard.pictures for face in picture.tracked.result.faces} == {0, 1}


def test_a_fault_while_tracking_lets_the_video_go_on(listening: Listening, caplog: pytest.LogCaptureFixture) -> None:
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
