"""Two real people keep their ids where they cross, turn back or leave for a moment: heads that move over a picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from tracker.config import TrackerConfig
from tracker.following.pipeline import FaceTracker, open_tracker
from tracker.sources import open_source
from tracker.types import Frame, ImageArray

RATE = 20.0  # frames/s
WIDTH, HEIGHT = 560, 320
SIZE = 110.0  # px, of a face
Way = Callable[[float], tuple[float, float] | None]  # seconds -> centre of a face; None: it is not there


class Head:
    """Cut out of a photo, with a soft edge."""

    def __init__(self, photo: Path) -> None:
        lines = photo.with_suffix(".pts").read_text().splitlines()
        points = np.array([line.split() for line in lines if line[:1].isdigit()], np.float32) - 1
        image = cv2.imread(str(photo))
        assert image is not None
        scale = SIZE / float((points.max(axis=0) - points.min(axis=0)).max())
        points *= scale
        self.image = cv2.resize(image[:, :, ::-1], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        self.middle = (points.min(axis=0) + points.max(axis=0)) / 2
        mask = np.zeros(self.image.shape[:2], np.uint8)
        above = (float(self.middle[0]), float(self.middle[1] - 0.15 * SIZE))
        cv2.ellipse(mask, (above, (1.05 * SIZE, 1.5 * SIZE), 0), 255, -1)
        self.mask = cv2.GaussianBlur(mask, (0, 0), 3).astype(np.float32)[..., None] / 255

    def paste(self, frame: ImageArray, x: float, y: float) -> None:
        """Puts the middle of its landmarks there, as far as that lies in the frame."""
        shift = np.array([[1, 0, x - self.middle[0]], [0, 1, y - self.middle[1]]])
        mask = cv2.warpAffine(self.mask, shift, (WIDTH, HEIGHT))[..., None]
        head = cv2.warpAffine(self.image, shift, (WIDTH, HEIGHT))
        frame[:] = (frame * (1 - mask) + head * mask).astype(np.uint8)


@pytest.fixture(scope="module")
def heads(shared_data: Path) -> list[Head]:
    folder = shared_data / "300w/helen/trainset"
    return [Head(folder / f"{name}.jpg") for name in ("2057777633_1", "2076194857_1")]


@pytest.fixture(scope="module")
def background(shared_data: Path) -> ImageArray:
    with open_source(shared_data / "videos/no_face.mp4") as source:
        image = next(iter(source)).image
    return cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA).astype(np.uint8)


@pytest.fixture(scope="module")
def tracker() -> Iterator[FaceTracker]:
    with open_tracker(TrackerConfig(model="fast128")) as opened:
        yield opened


def between(start: float, end: float, from_s: float, to_s: float, time_s: float) -> float:
    return float(np.interp(time_s, [from_s, to_s], [start, end]))


def stay(x: float) -> Way:
    return lambda _: (x, 160.0)


def cross(start: float, end: float) -> Way:
    return lambda time_s: (between(start, end, 0.3, 1.3, time_s), 160.0)


def turn_back(start: float, turn: float) -> Way:
    """Behind the other one, and out again on the side where it came from."""
    there = 0.9
    return lambda time_s: (
        between(start, turn, 0.3, there, time_s) if time_s < there else between(turn, start, there, 1.5, time_s),
        160.0,
    )


def leave_for_a_moment(x: float) -> Way:
    """Out of the frame on the left, back 0.8 s later and lower."""

    def way(time_s: float) -> tuple[float, float] | None:
        if time_s < 0.9:
            return between(x, -80.0, 0.3, 0.8, time_s), 110.0
        return (between(-80.0, x, 1.5, 2.0, time_s), 200.0) if time_s >= 1.5 else None

    return way


@pytest.mark.parametrize(
    ("ways", "seconds"),
    [
        pytest.param((cross(110, 450), cross(450, 110)), 2.0, id="cross"),
        pytest.param((turn_back(120, 370), stay(390)), 2.2, id="turn back"),
        pytest.param((leave_for_a_moment(110), stay(400)), 2.8, id="leave"),
    ],
)
def test_everybody_keeps_their_id(
    ways: tuple[Way, Way], seconds: float, heads: list[Head], background: ImageArray, tracker: FaceTracker
) -> None:
    tracker.reset(restart_ids=True)
    ids: dict[int, set[int]] = {0: set(), 1: set()}  # person -> ids that were seen there, without the crossing itself
    for index in range(round(seconds * RATE)):
        time_s = index / RATE
        image = background.copy()
        places = [way(time_s) for way in ways]
        for head, place in zip(heads, places, strict=True):  # the last one is in front
            if place is not None:
                head.paste(image, *place)
        result = tracker.process(Frame(image, index, time_s), recorded=True)
        for person, place in enumerate(places):
            is_begin_or_end = time_s < 0.3 or time_s > seconds - 0.2
            if place is None or not is_begin_or_end:
                continue
            (there,) = (face for face in result.faces if np.linalg.norm(face.points.mean(axis=0) - place) < SIZE / 3)
            ids[person].add(there.face_id)
    assert all(len(seen) == 1 for seen in ids.values()), ids
    assert ids[0] != ids[1]
