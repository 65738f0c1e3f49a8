"""Sources of a live session: cameras that fail in every way, files, and what follows them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from models.errors import FewmarkError
from tracker.config import TrackerConfig
from tracker.files.assets import demo_clip
from tracker.following.pipeline import FaceTracker
from tracker.live import CameraWatcher, EventKind, PacedSource, SourceRequest
from tracker.sources import CameraInfo, CameraSource, FrameSource, open_source

PATIENCE_S = 180.0  # a busy machine is no failure
Listening = Callable[..., AbstractContextManager[Any]]  # a session that ends every thread it began
DEMO = SourceRequest(str(demo_clip()))
CAMERA = CameraInfo("Logitech BRIO", "046d:085e", 2, cv2.CAP_V4L2)
REQUEST = SourceRequest("camera:BRIO", title="Logitech BRIO")
FAIL = object()


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


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracker.live.capture.RETRY_S", 0.05)


def test_a_camera_that_goes_away_is_opened_again(listening: Listening) -> None:
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


def test_a_camera_that_stalls_is_told_and_its_return_as_well(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracker.live.capture.STALL_S", 0.3)
    script = chain(repeat(picture_of(10), 5), [1.0], repeat(picture_of(20)))
    with listening(make_tracker=no_tracker, open_source=cameras(script)) as heard:
        heard.session.start(REQUEST)
        heard.until(lambda: heard.has(EventKind.SOURCE_STALLED))
        assert heard.text(EventKind.SOURCE_STALLED).startswith("Logitech BRIO: no picture for")
        heard.until(lambda: [event.kind for event in heard.events].count(EventKind.SOURCE_RUNNING) == 2)
        assert not heard.has(EventKind.SOURCE_LOST)


def test_garbage_between_frames_and_another_size_do_no_harm(listening: Listening) -> None:
    garbage: list[Any] = [None, "garbage", np.zeros((4, 4, 2), np.uint8), np.zeros((0, 4, 3), np.uint8)]
    script = chain(repeat(picture_of(10), 5), garbage, repeat(picture_of(30, 30, 40)))
    with listening(make_tracker=no_tracker, open_source=cameras(script)) as heard:
        heard.session.start(REQUEST)
        heard.until(lambda: heard.pictures and heard.last.image.shape == (30, 40, 3))
        assert heard.text(EventKind.SOURCE_NOTE) == "Logitech BRIO: now 40x30, it was 64x48."


def test_a_file_that_is_no_video_is_not_tried_again(listening: Listening, tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"no film")
    with listening(make_tracker=no_tracker) as heard:
        heard.session.start(SourceRequest(str(path)))
        heard.until(lambda: heard.has(EventKind.SOURCE_FAILED))
        assert "film.mp4: cannot be opened as a video" in heard.text(EventKind.SOURCE_FAILED)
        heard.until(lambda: not heard.session.is_capturing)


def test_an_unexpected_error_is_told_and_logged(listening: Listening, caplog: pytest.LogCaptureFixture) -> None:
    def broken(_request: SourceRequest) -> FrameSource:
        raise RuntimeError("the driver lost its mind")

    with listening(make_tracker=no_tracker, open_source=broken) as heard:
        heard.session.start(REQUEST)
        heard.until(lambda: heard.has(EventKind.FAULT))
        assert "the driver lost its mind" in heard.text(EventKind.FAULT)
    assert "the driver lost its mind" in caplog.text


def test_another_source_takes_over_and_the_old_one_says_no_more(listening: Listening) -> None:
    with listening(make_tracker=no_tracker, open_source=cameras(repeat(picture_of(1)), repeat(picture_of(2)))) as heard:
        for number in (1, 2):
            heard.session.start(replace(REQUEST, title=f"camera {number}"))
            heard.until(lambda number=number: heard.pictures and heard.last.image[0, 0, 0] == number)
        assert not heard.has(EventKind.SOURCE_ENDED)
        heard.session.stop()
        heard.until(lambda: True)
        assert heard.session.statistics().capture_rate is None


def test_a_recording_without_end_ends_at_its_end(listening: Listening) -> None:
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
