"""When and where new faces are looked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tracker.config import DetectionConfig, TrackerConfig, TrackingConfig
from tracker.following.pipeline import FaceTracker, open_tracker
from tracker.following.scene_change import SceneChangeDetector
from tracker.following.searching import FaceSearch, Look, SearchState, looks_at_still
from tracker.sources import open_source
from tracker.types import FaceBox, Frame, ImageArray
from training.datasets.w300 import read_w300

WIDE = (1080, 1920)
SMALL = (270, 480)
FACE = FaceBox(np.array([225, 75, 250, 100], np.float32), 0.9)
CLOSE_PX = DetectionConfig().smallest_px(np.zeros((*SMALL, 3), np.uint8))


class Watched:
    """A search, and the frames that it is shown."""

    def __init__(self, config: DetectionConfig | None = None) -> None:
        self.search = FaceSearch(config or DetectionConfig())
        self.scene = SceneChangeDetector()
        self.noise = np.random.default_rng(0)

    def looks(
        self,
        time_s: float,
        followed: Sequence[FaceBox] = (),
        changed: Sequence[tuple[int, int]] = (),
        *,
        lost: bool = False,
        recorded: bool = True,
    ) -> list[Look]:
        """At a grey, noisy frame with a light square, 30 px, wherever something changed."""
        image = np.full((*SMALL, 3), 90, np.uint8) + self.noise.integers(0, 8, (*SMALL, 1), np.uint8)
        for x, y in changed:
            image[y : y + 30, x : x + 30] = 200
        self.scene.resemblance(image)
        return self.search.looks(SearchState(image, time_s, self.scene.thumbnail, followed, lost, recorded))


def close_looks(looks: Sequence[Look]) -> list[Look]:
    return [look for look in looks if look.smallest_px == CLOSE_PX and not look.quarter_turns]


def test_the_first_frame_is_looked_at_closely_and_from_all_sides() -> None:
    looks = Watched().looks(0.0)
    assert looks[:2] == [Look(), Look(CLOSE_PX, part=(0, 0, 480, 270))]
    assert [look.quarter_turns for look in looks[2:]] == [1, 3, 2]


def test_where_no_face_is_followed_every_frame_is_looked_at_and_once_a_second_closely() -> None:
    watched = Watched()
    looks = {i / 10: watched.looks(i / 10) for i in range(25)}
    assert all(look[0] == Look() for look in looks.values())
    assert [time_s for time_s, found in looks.items() if close_looks(found)] == [0.0, 1.0, 2.0]
    assert [time_s for time_s, found in looks.items() if len(found) == 5] == [0.0, 1.0, 2.0]


def test_live_one_way_to_lie_is_tried_at_a_time() -> None:
    watched = Watched()
    turns = [look.quarter_turns for i in range(60) for look in watched.looks(i / 20, recorded=False)]
    assert sorted(turn for turn in turns if turn) == [1, 2, 3]


def test_where_nothing_changes_nobody_is_looked_for_beside_a_followed_face() -> None:
    watched = Watched()
    watched.looks(0.0)
    assert [i for i in range(1, 299) if watched.looks(i / 30, [FACE])] == []
    assert watched.looks(10.0, [FACE]) == [Look(CLOSE_PX, part=(0, 0, 480, 270))]  # but now and then, everywhere


def test_where_something_changes_that_part_is_looked_at_closely() -> None:
    watched = Watched()
    watched.looks(0.0)
    assert watched.looks(0.2, [FACE], changed=[(25, 25)]) == []  # not before half a second is over
    assert watched.looks(0.5, [FACE], changed=[(25, 25)]) == [Look(CLOSE_PX, part=(0, 0, 120, 90))]
    assert watched.looks(1.0, [FACE], changed=[(25, 25)]) == []  # it was seen
    # Somebody has come; that somebody has gone is no news.
    assert close_looks(watched.looks(1.5, [FACE], changed=[(425, 200)])) == [Look(CLOSE_PX, part=(360, 180, 480, 270))]


def test_what_a_followed_person_does_is_no_news() -> None:
    watched = Watched()
    watched.looks(0.0)
    assert watched.looks(0.5, [FACE], changed=[(222, 82), (225, 150)]) == []
    assert close_looks(watched.looks(1.0, [], changed=[(222, 82)]))


def test_close_looks_beside_followed_faces_take_no_more_than_a_whole_frame_in_ten_seconds() -> None:
    watched = Watched()
    watched.looks(0.0)
    area = 0.0
    for i in range(1, 1200):
        everywhere = [(x, y) for x in range(8 * (i % 2), 475, 60) for y in range(15 * (i % 2), 250, 60)]
        for look in close_looks(watched.looks(i / 30, [FACE], changed=everywhere)):
            assert look.part is not None
            left, top, right, bottom = look.part
            area += (right - left) * (bottom - top) / (480 * 270)
    assert 3.5 <= area <= 5.5  # in 40 s, with what was saved up and the last one


def test_a_lost_face_is_looked_for_at_once_and_for_a_while() -> None:
    watched = Watched()
    watched.looks(0.0)
    watched.looks(0.5, [FACE])
    assert watched.looks(0.6, [FACE], lost=True) == [Look()]
    later = [i / 10 for i in range(7, 100) if watched.looks(i / 10, [FACE])]
    assert len(later) in range(8, 11)
    assert max(later) < 5.7


def test_small_faces_make_every_look_a_close_one() -> None:
    watched = Watched(DetectionConfig(small_faces=True))
    assert [look.smallest_px for look in watched.looks(0.0) if not look.quarter_turns] == [CLOSE_PX / 2]
    assert [look.smallest_px for look in watched.looks(0.1)] == [CLOSE_PX / 2]


def test_a_still_is_looked_at_quickly_closely_and_then_turned() -> None:
    looks = looks_at_still(np.zeros((*SMALL, 3), np.uint8), DetectionConfig())
    assert [(look.smallest_px, look.quarter_turns) for look in looks] == [
        (px, turns) for turns in (0, 1, 3, 2) for px in (None, 0.55 * CLOSE_PX)
    ]


def people(shared_data: Path, extent_px: float) -> list[ImageArray]:
    """Four photos of 300-W, scaled so that the landmarks span ``extent_px``."""
    found = []
    for sample in read_w300(shared_data / "300w").samples[5::400][:4]:
        scale = extent_px / float(np.ptp(sample.points, axis=0).max())
        photo = cv2.resize(sample.load_image(), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        found.append(np.asarray(photo, np.uint8))
    return found


@pytest.mark.parametrize("somebody_is_there", [False, True])
@pytest.mark.parametrize("recorded", [False, True])
def test_two_people_who_enter_a_wide_shot_are_followed_within_a_second(
    shared_data: Path, face_tracker: FaceTracker, somebody_is_there: bool, recorded: bool
) -> None:
    """Faces of 60 px in 1080p; they walk in from both sides for 0.4 s, and stand."""
    there, left, right, _ = people(shared_data, 60)
    with open_source(shared_data / "videos/no_face.mp4", end_s=0.1) as source:
        room = cv2.resize(next(iter(source)).image, WIDE[::-1])
    noise = np.random.default_rng(0)
    followed_s = None
    for i in range(55):
        image = np.asarray(room, np.uint8).copy()
        if somebody_is_there:
            image[400 : 400 + there.shape[0], 900 : 900 + there.shape[1]] = there
        entered_s = i / 25 - 0.7
        if entered_s >= 0:
            way = round(min(entered_s / 0.4, 1) * 300)
            seen = left[:, -way:] if way < left.shape[1] else left
            x = max(way - left.shape[1], 0)
            image[350 : 350 + left.shape[0], x : x + seen.shape[1]] = seen
            seen = right[:, : way or 1]
            image[420 : 420 + right.shape[0], 1920 - (way or 1) : 1920 - (way or 1) + seen.shape[1]] = seen
        image = np.clip(image + noise.normal(0, 2, (*WIDE, 1)), 0, 255).astype(np.uint8)
        faces = face_tracker.process(Frame(image, i, i / 25), recorded=recorded).faces
        if entered_s < 0:
            assert len(faces) == somebody_is_there
        elif followed_s is None and len(faces) == 2 + somebody_is_there:
            followed_s = entered_s
    assert followed_s is not None
    assert followed_s <= 1.0


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
@pytest.mark.parametrize("name", ["one_face_720p_a.mp4", "portrait_720x1280.mp4"])
def test_a_turned_clip_is_tracked_as_the_upright_one(
    shared_data: Path, face_tracker: FaceTracker, quarter_turns: int, name: str
) -> None:
    with open_source(shared_data / "videos" / name, start_s=2.0, end_s=2.25) as source:
        frames = list(source)
    height, width = frames[0].image.shape[:2]
    upright = [face_tracker.process(frame, recorded=True).faces for frame in frames]
    face_tracker.reset(restart_ids=True)
    for frame, (truth,) in zip(frames, upright, strict=True):
        image = np.ascontiguousarray(np.rot90(frame.image, quarter_turns))
        (face,) = face_tracker.process(replace(frame, image=image), recorded=True).faces
        x, y = truth.points.T
        there = {1: (y, width - 1 - x), 2: (width - 1 - x, height - 1 - y), 3: (height - 1 - y, x)}[quarter_turns]
        error = np.linalg.norm(face.points - np.stack(there, axis=1), axis=1).mean()
        assert error < 0.02 * np.ptp(truth.points[:, 0])


@pytest.mark.parametrize("quarter_turns", [0, 1, 2, 3])
def test_all_of_a_group_are_found_in_a_still_whichever_way_it_lies(
    shared_data: Path, face_tracker: FaceTracker, quarter_turns: int
) -> None:
    """One near, three small."""
    group = np.full((900, 1600, 3), 120, np.uint8)
    near, *small = people(shared_data, 300)[:1] + people(shared_data, 50)[1:]
    group[100 : 100 + near.shape[0], : near.shape[1]] = near[:800]
    for x, photo in zip((900, 1100, 1300), small, strict=True):
        group[300 : 300 + photo.shape[0], x : x + photo.shape[1]] = photo
    image = np.ascontiguousarray(np.rot90(group, quarter_turns))
    assert len(face_tracker.process_still(Frame(image, 0, 0.0)).faces) == 4


def test_more_faces_than_are_kept_are_counted_once(shared_data: Path) -> None:
    image = np.full((400, 1600, 3), 120, np.uint8)
    for x, photo in zip((0, 400, 800, 1200), people(shared_data, 150), strict=True):
        image[: photo.shape[0], x : x + photo.shape[1]] = photo[:400]
    with open_tracker(TrackerConfig(tracking=TrackingConfig(max_faces=2))) as tracker:
        results = [tracker.process(Frame(image, i, i * 0.6)) for i in range(4)]
        assert [len(result.faces) for result in results] == [2, 2, 2, 2]
        assert [result.left_out for result in results] == [2, 0, 0, 0]
        still = tracker.process_still(Frame(image, 0, 0.0))
        assert (len(still.faces), still.left_out) == (2, 2)
        tracker.reconfigure(TrackerConfig())
        assert len(tracker.process(Frame(image, 5, 3.0)).faces) == 4
