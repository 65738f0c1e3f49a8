"""Ids over synthetic motion and looks: crossings, losses, duplicates."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.config import AssociationSettings
from tracker.following.association import FaceAssociator, drop_duplicates, overlaps, unmatched_detections
from tracker.types import FaceBox, FloatArray

RATE = 30.0  # frames/s


def box(x: float, y: float = 200.0, side: float = 100.0, score: float = 0.9) -> FaceBox:
    """A square face around a centre."""
    return FaceBox(np.array([x - side / 2, y - side / 2, x + side / 2, y + side / 2], np.float32), score)


def look(who: int, *, noise: float = 0.0, seed: int = 0) -> FloatArray:
    """What a person looks like; two persons differ by 0.5."""
    made = np.zeros(48, np.float32)
    made[[0, 1 + who]] = np.sqrt(0.5)
    return (made + noise * np.random.default_rng(seed).normal(0, 1, 48) / np.sqrt(48)).astype(np.float32)


def seen_for_a_while(*faces: FaceBox) -> FaceAssociator:
    """Faces 0, 1, ... that stood where they are, for half a second up to time 0."""
    associator = FaceAssociator()
    for frame in range(-15, 1):
        looks = [look(who, noise=0.2, seed=frame + 100) for who in range(len(faces))]
        associator.update(faces, frame / RATE, None, looks)
    return associator


def test_overlaps_of_boxes_and_of_none() -> None:
    np.testing.assert_allclose(overlaps([box(0), box(50)], [box(0), box(500)]), [[1, 0], [1 / 3, 0]])
    assert overlaps([], [box(0)]).shape == (0, 1)
    assert overlaps([box(0)], []).shape == (1, 0)


def test_drop_duplicates_keeps_the_surest() -> None:
    boxes = [box(0, score=0.5), box(10, score=0.8), box(300, score=0.2), box(20, score=0.6)]
    assert drop_duplicates(boxes) == [1, 2]
    assert drop_duplicates(boxes, priority=[3, 2, 1, 0]) == [0, 2]
    assert drop_duplicates([]) == []


def test_unmatched_detections_are_the_new_faces() -> None:
    detections = [box(5), box(400)]
    assert unmatched_detections(detections, [box(0)]) == [detections[1]]
    assert unmatched_detections(detections, []) == detections


def test_forty_faces_keep_their_ids_in_any_order() -> None:
    rng = np.random.default_rng(0)
    places = [np.array(place, float) for place in itertools.product(range(100, 1700, 200), range(100, 1100, 200))]
    associator = FaceAssociator()
    first = associator.update([box(*place) for place in places], 0.0)
    assert sorted(first) == list(range(40))
    for frame in range(1, 60):
        places = [place + rng.normal(0, 5, 2) for place in places]
        order = rng.permutation(40)
        assert associator.update([box(*places[i]) for i in order], frame / RATE) == [first[i] for i in order]


@pytest.mark.parametrize("rate", [10.0, 30.0, 120.0])
def test_crossing_faces_do_not_swap(rate: float) -> None:
    associator = FaceAssociator()
    for frame in range(int(2 * rate)):
        time_s = frame / rate
        right, left = box(100 + 300 * time_s, 200), box(700 - 300 * time_s, 230)
        assert associator.update([right, left], time_s) == [0, 1]


def test_crossing_faces_whose_boxes_come_in_another_order_do_not_swap() -> None:
    associator = FaceAssociator()
    for frame in range(60):
        time_s = frame / RATE
        right, left = box(100 + 300 * time_s, 200), box(700 - 300 * time_s, 230)
        boxes = sorted([right, left], key=lambda face: face.centre[0])
        ids = associator.update(boxes, time_s)
        assert ids[boxes.index(right)] == 0
        assert ids[boxes.index(left)] == 1


def test_a_face_hidden_behind_another_comes_back_with_its_id() -> None:
    """One face stands, the other passes behind it, and its crop slides onto the face in front."""
    associator = FaceAssociator()
    live: list[int] = []
    for frame in range(60):
        time_s = frame / RATE
        true_x = 100 + 300 * time_s
        hidden = abs(true_x - 400) < 60
        faces = [box(375 + 0.1 * (true_x - 340)) if hidden else box(true_x), box(400)]
        previous = [face_id if face_id in live else None for face_id in (0, 1)]
        kept = associator.drop_duplicates(faces, time_s, previous)
        live = associator.update([faces[i] for i in kept], time_s, [previous[i] for i in kept])
        assert live == kept
        assert (0 in live) != hidden


def test_between_tracks_on_one_face_the_older_stays_and_a_new_detection_goes() -> None:
    associator = FaceAssociator()
    associator.update([box(100), box(400)], 0.0)
    assert associator.drop_duplicates([box(100, score=0.99), box(101, score=0.5)], 0.03, [None, 0]) == [1]
    assert associator.drop_duplicates([box(100), box(400)], 0.03, [1, 0]) == [0, 1]
    assert associator.drop_duplicates([box(7, score=0.5), box(9, score=0.6)], 0.03, [None, None]) == [1]


@pytest.mark.parametrize(("gap_s", "same"), [(0.5, True), (0.95, True), (1.5, False)])
def test_a_lost_face_keeps_its_id_for_a_while(gap_s: float, same: bool) -> None:
    associator = FaceAssociator(AssociationSettings(max_lost_s=1.0))
    assert associator.update([box(100), box(500)], 0.0) == [0, 1]
    for frame in range(1, int(gap_s * RATE)):
        assert associator.update([box(500)], frame / RATE) == [1]
    assert associator.update([box(500), box(160)], gap_s) == [1, 0 if same else 2]


def test_a_face_that_moved_on_unseen_and_one_that_stopped_are_both_found_again() -> None:
    for found_at in (box(200), box(290)):
        associator = FaceAssociator()
        for frame in range(10):
            associator.update([box(200 - 20 * (9 - frame))], frame / RATE)
        associator.update([], 10 / RATE)
        assert associator.update([found_at], 20 / RATE) == [0]


def test_crops_that_changed_places_do_not_take_the_ids_with_them() -> None:
    associator = seen_for_a_while(box(100), box(300))
    for frame in range(1, 20):
        ids = associator.update(
            [box(110), box(290)], frame / RATE, [1, 0] if frame == 1 else [0, 1], [look(0), look(1)]
        )
        assert ids == [0, 1]
    # Nor do they where the two are far apart: nobody changes places from one frame to the next there.
    associator = seen_for_a_while(box(100), box(900))
    assert associator.update([box(900), box(100)], 1 / RATE, [0, 1], [look(1), look(0)]) == [0, 1]


def test_of_two_crops_on_one_face_the_one_stays_that_the_face_looks_like() -> None:
    associator = seen_for_a_while(box(100), box(200))
    for who in (0, 1):
        kept = associator.drop_duplicates([box(150), box(151)], 1 / RATE, [0, 1], [look(who), look(who)])
        assert kept == [who]


def test_a_crop_that_went_over_to_a_lost_face_gets_that_ones_id() -> None:
    associator = seen_for_a_while(box(100), box(220))
    associator.update([box(140)], 1 / RATE, [0], [look(0)])  # 1 is hidden
    assert associator.update([box(200)], 2 / RATE, [0], [look(1)]) == [1]
    assert associator.update([box(200), box(150)], 5 / RATE, [1, None], [look(1), look(0)]) == [1, 0]


def test_a_face_that_comes_out_from_behind_another_is_known_once_it_is_seen_whole() -> None:
    associator = seen_for_a_while(box(100), box(200))
    associator.update([box(200)], 0.1, [1], [look(1)])
    assert associator.update([box(300), box(200)], 0.5, [None, 1], [-look(0), look(1)]) == [2, 1]  # half of it
    assert associator.update([box(320), box(200)], 0.6, [2, 1], [look(0), look(1)]) == [0, 1]


def test_a_new_face_that_looks_like_a_followed_one_gets_its_id_back() -> None:
    """The crop of 0 went over to somebody who was never seen alone, and 0 is found elsewhere."""
    associator = seen_for_a_while(box(100))
    for frame in range(1, 10):
        assert associator.update([box(100 - 2 * frame)], frame / RATE, [0], [look(5)]) == [0]
    assert associator.update([box(80), box(210)], 10 / RATE, [0, None], [look(5), look(0)]) == [1, 0]


@pytest.mark.parametrize(
    ("who", "x", "gap_s", "same"),
    [(0, 330, 1.0, True), (7, 330, 1.0, False), (0, 700, 1.0, False), (0, 100, 2.0, True), (7, 100, 2.0, False)],
)
def test_who_looks_like_a_lost_face_may_come_from_farther_away_and_later(
    who: int, x: float, gap_s: float, same: bool
) -> None:
    associator = seen_for_a_while(box(100))
    associator.update([], 0.1)
    assert associator.update([box(x)], gap_s, None, [look(who)]) == [0 if same else 1]


def test_somebody_quite_different_in_a_lost_ones_place_is_new() -> None:
    associator = seen_for_a_while(box(100))
    associator.update([], 0.1)
    assert associator.update([box(100)], 1.0, None, [-look(0)]) == [1]


def test_two_that_were_hidden_together_are_told_apart() -> None:
    associator = seen_for_a_while(box(100), box(260))
    associator.update([], 0.1)
    assert associator.update([box(110), box(250)], 0.8, None, [look(1), look(0)]) == [1, 0]


def test_after_a_cut_only_looks_tell_who_is_who() -> None:
    associator = seen_for_a_while(box(100), box(300))
    associator.cut()
    ids = associator.update([box(900, side=250), box(100), box(300)], 1 / RATE, None, [look(0), look(7), look(8)])
    assert ids == [0, 2, 3]
    associator.cut()
    assert associator.update([box(100)], 2 / RATE) == [4]  # it is not known what it looks like
    associator.reset()
    assert associator.update([box(900)], 3 / RATE, None, [look(0)]) == [5]


def test_a_hand_before_a_face_takes_no_id() -> None:
    associator = seen_for_a_while(box(100), box(260))
    for frame in range(1, 30):
        looks = [look(9, noise=0.5, seed=frame), look(1)]
        assert associator.update([box(100), box(260)], frame / RATE, [0, 1], looks) == [0, 1]
    assert associator.update([box(100), box(260)], 1.0, [0, 1], [look(0), look(1)]) == [0, 1]


def test_another_face_elsewhere_or_of_another_size_is_new() -> None:
    associator = FaceAssociator()
    assert associator.update([box(100)], 0.0) == [0]
    assert associator.update([box(400)], 0.03) == [1]
    assert associator.update([box(400, side=250)], 0.06) == [2]


def test_known_ids_are_kept_and_never_given_twice() -> None:
    associator = FaceAssociator()
    associator.update([box(100), box(400)], 0.0)
    assert associator.update([box(300), box(100)], 0.03, [1, None]) == [1, 0]
    assert associator.update([box(300), box(310)], 0.06, [1, 1]) == [1, 2]
    assert associator.update([box(900)], 0.09, [77]) == [3]


def test_going_back_in_time_forgets_all_faces_but_not_the_count() -> None:
    associator = FaceAssociator()
    assert associator.update([box(100)], 5.0) == [0]
    assert associator.update([box(100)], 5.0) == [0]
    assert associator.update([box(100)], 1.0) == [1]
    associator.reset()
    assert associator.update([box(100)], 1.0) == [2]


@settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.lists(st.tuples(st.floats(0, 500), st.floats(0, 500), st.floats(1, 200)), max_size=6),
        min_size=1,
        max_size=8,
    )
)
def test_ids_are_unique_in_a_frame_and_never_reused(frames: list[list[tuple[float, float, float]]]) -> None:
    associator = FaceAssociator()
    last_seen: dict[int, float] = {}
    highest = -1
    for index, faces in enumerate(frames):
        time_s = index * 0.4
        ids = associator.update([box(*face) for face in faces], time_s)
        assert len(ids) == len(faces) == len(set(ids))
        for face_id in ids:
            if face_id in last_seen:
                assert time_s - last_seen[face_id] <= AssociationSettings().max_lost_s
            else:
                assert face_id > highest
            last_seen[face_id] = time_s
        highest = max([highest, *ids])
