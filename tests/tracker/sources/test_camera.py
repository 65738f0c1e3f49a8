"""Cameras, by a capture object that plays frames from memory: no camera is needed."""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import islice, repeat
from typing import Any

import cv2
import numpy as np
import pytest

from models.errors import FewmarkError
from tracker.sources import CameraInfo, CameraSource, find_camera, list_cameras, open_source

CAMERAS = [
    CameraInfo("Integrated Camera", "04f2:b6d9", 0, cv2.CAP_V4L2),
    CameraInfo("Logitech BRIO", "046d:085e", 2, cv2.CAP_V4L2),
    CameraInfo("Logitech C920", "046d:082d", 4, cv2.CAP_V4L2),
]
BGR = np.zeros((48, 64, 3), np.uint8)
BGR[..., 0] = 10
BGR[..., 2] = 200
FAIL = object()
RAISE = object()


class PlayedCapture:
    """A cv2.VideoCapture that plays ``images``; FAIL is a failed grab, RAISE an error of OpenCV."""

    def __init__(self, images: Iterable[Any], *, opened: bool = True, rate: float = 30.0) -> None:
        self.images = iter(images)
        self.opened = opened
        self.rate = rate
        self.requests: dict[int, float] = {}
        self.released = 0
        self.current: Any = FAIL

    def __call__(self, index: int, backend: int) -> PlayedCapture:
        self.asked_for = (index, backend)
        return self

    def isOpened(self) -> bool:
        return self.opened

    def grab(self) -> bool:
        self.current = next(self.images, FAIL)
        if self.current is RAISE:
            raise cv2.error("select() timeout")
        return self.current is not FAIL

    def retrieve(self) -> tuple[bool, Any]:
        return True, self.current

    def get(self, prop: int, /) -> float:
        return self.rate if prop == cv2.CAP_PROP_FPS else 0.0

    def set(self, prop: int, value: float, /) -> bool:
        self.requests[prop] = value
        return True

    def release(self) -> None:
        self.released += 1


def open_played(capture: PlayedCapture, **options: Any) -> CameraSource:
    return CameraSource(
        CAMERAS[1], capture_factory=capture, open_timeout_s=0.05, stall_timeout_s=0.05, cameras=CAMERAS, **options
    )


def test_frames_are_rgb_counted_and_stamped_when_grabbed() -> None:
    capture = PlayedCapture(repeat(BGR))
    with open_played(capture) as camera:
        assert capture.asked_for == (2, cv2.CAP_V4L2)
        assert (camera.info.name, camera.info.width, camera.info.height) == ("Logitech BRIO", 64, 48)
        assert (camera.info.frame_rate, camera.info.frame_count, camera.info.is_live) == (30.0, None, True)
        before = time.perf_counter()
        frames = list(islice(camera, 5))
        after = time.perf_counter()
    assert [f.index for f in frames] == list(range(5))
    times = [f.time_s for f in frames]
    assert before <= times[0]
    assert times[-1] <= after
    assert (np.diff(times) > 0).all()
    assert frames[0].image[0, 0].tolist() == [200, 0, 10]
    assert frames[0].image.flags.c_contiguous
    assert capture.released >= 1


def test_garbage_and_short_failures_are_tried_again() -> None:
    floats = np.zeros((4, 4, 3), np.float32)
    two_channels = np.zeros((4, 4, 2), np.uint8)
    empty = np.zeros((0, 4, 3), np.uint8)
    capture = PlayedCapture([BGR, FAIL, None, "garbage", floats, RAISE, two_channels, empty, BGR, BGR])
    with open_played(capture) as camera:
        assert [f.index for f in islice(camera, 2)] == [0, 1]


def test_grey_bgra_and_a_changed_size_are_delivered() -> None:
    grey = np.full((30, 40), 7, np.uint8)
    capture = PlayedCapture([BGR, BGR, grey, grey[..., None], np.dstack([BGR, BGR[..., :1]])])
    with open_played(capture) as camera:
        shapes = [f.image.shape for f in islice(camera, 4)]
    assert shapes == [(48, 64, 3), (30, 40, 3), (30, 40, 3), (48, 64, 3)]


def test_a_camera_that_goes_away_raises_after_its_frames() -> None:
    capture = PlayedCapture([BGR] * 4)
    with open_played(capture) as camera:
        frames = iter(camera)
        assert len(list(islice(frames, 3))) == 3
        with pytest.raises(FewmarkError, match=r"Logitech BRIO: no frame for 0\.05 s after 3 frames; check its cable"):
            next(frames)


def test_the_drivers_own_words_are_in_the_message() -> None:
    with open_played(PlayedCapture([BGR, *[RAISE] * 1000])) as camera, pytest.raises(FewmarkError, match="no frame"):
        next(iter(camera))
    with pytest.raises(FewmarkError, match="what it sends is no image"):
        open_played(PlayedCapture(repeat(None)))


def test_a_camera_that_cannot_be_opened_lists_the_others_and_is_released() -> None:
    capture = PlayedCapture([], opened=False)
    with pytest.raises(FewmarkError, match=r"cannot be opened; .*0: Integrated Camera \[04f2:b6d9\]"):
        open_played(capture)
    assert capture.released == 1
    silent = PlayedCapture([])
    with pytest.raises(FewmarkError, match=r"gave no frame within 0\.05 s; .*Logitech C920"):
        open_played(silent)
    assert silent.released == 1


def test_requests_reach_the_driver_and_a_refused_size_is_a_warning() -> None:
    capture = PlayedCapture(repeat(BGR), rate=float("nan"))
    with open_played(capture, width=1280, height=720, frame_rate=60) as camera:
        assert camera.info.frame_rate is None
        assert camera.warnings == ["camera Logitech BRIO: asked for 1280x720, it gives 64x48"]
    assert capture.requests[cv2.CAP_PROP_FRAME_WIDTH] == 1280
    assert capture.requests[cv2.CAP_PROP_FRAME_HEIGHT] == 720
    assert capture.requests[cv2.CAP_PROP_FPS] == 60
    assert capture.requests[cv2.CAP_PROP_FOURCC] == cv2.VideoWriter.fourcc(*"MJPG")
    assert next(iter(capture.requests)) == cv2.CAP_PROP_FOURCC  # a later pixel format would reset the size


def test_closing_ends_the_iteration() -> None:
    with open_played(PlayedCapture(repeat(BGR))) as camera:
        frames = iter(camera)
        next(frames)
        camera.close()
        assert list(frames) == []
        with pytest.raises(RuntimeError, match="iterated once"):
            iter(camera)


@pytest.mark.parametrize(
    ("wanted", "index"),
    [("0", 0), ("2", 2), ("brio", 2), ("046D:082D", 4), ("logitech c", 4), ("Integrated Camera", 0)],
)
def test_a_camera_is_found_by_index_name_or_id(wanted: str, index: int) -> None:
    assert find_camera(wanted, CAMERAS).index == index


@pytest.mark.parametrize(("wanted", "why"), [("logitech", "fits 2 cameras"), ("1", "no such"), ("", "no such")])
def test_an_unclear_camera_lists_them_all(wanted: str, why: str) -> None:
    with pytest.raises(FewmarkError, match=why) as caught:
        find_camera(wanted, CAMERAS)
    assert all(str(camera) in str(caught.value) for camera in CAMERAS)
    with pytest.raises(FewmarkError, match="no camera was found: connect one"):
        find_camera(wanted, [])


def test_this_machines_cameras_can_be_listed_and_a_missing_one_is_named() -> None:
    cameras = list_cameras()
    assert len({(camera.index, camera.backend) for camera in cameras}) == len(cameras)
    for spec in ("99", "camera:no such name"):
        with pytest.raises(FewmarkError, match="no such camera"):
            open_source(spec)
    with pytest.raises(FewmarkError, match="a start and an end can only be given for files"):
        open_source("0", start_s=1)
