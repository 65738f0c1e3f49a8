"""Which face is which between frames.

By positions, that is boxes, their motion and time, and where these leave it open by appearance. Distances are in face
sizes and times in seconds, so that nothing here depends on resolution or frame rate. Faces are not recognised: what is
compared is coarse, and forgotten with the face.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracker.config import AssociationSettings
from tracker.following.track import Motion, Track, distance, size_of
from tracker.types import FaceBox, FloatArray

_FREE = 0.1  # intersection over union up to which a face is seen without parts of another
_NEAR = 2.5  # face sizes between two faces that may have changed places
_REMEMBERED_EVERY_S = 0.2  # an appearance, where nobody else is there
_YOUNG_S = 0.5  # so long a face that was found may turn out to be a lost one: it comes out from behind another
# Differences of appearances, see ``appearance.py``.
_ALIKE = 0.18  # as a face is to itself a moment later
_UNLIKE = 0.5  # hardly ever the same face
_CLEARLY = 0.15  # a followed face gets another's id where that fits better by this much
_APPEARANCE_SIZES = 6.0  # face sizes that a difference of 1 weighs as much as


def overlaps(a: Sequence[FaceBox], b: Sequence[FaceBox]) -> NDArray[np.float64]:
    """Intersection over union of every box of ``a`` with every box of ``b``, roll ignored: (len(a), len(b)), 0..1."""
    first, second = _corners(a)[:, None], _corners(b)[None]
    shared = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    intersection = shared.clip(min=0).prod(axis=-1)
    union = _areas(first) + _areas(second) - intersection
    return np.asarray(intersection / np.maximum(union, 1e-9))


def drop_duplicates(
    boxes: Sequence[FaceBox], priority: Sequence[float] | None = None, max_overlap: float = 0.5
) -> list[int]:
    """Greedy non-maximum suppression.

    Args:
        priority: one number per box, the highest stays; default: the boxes' scores.
        max_overlap: intersection over union above which two boxes are one face.

    Returns:
        Indices of the boxes to keep, ascending.
    """
    rank = [box.score for box in boxes] if priority is None else priority
    overlap = overlaps(boxes, boxes)
    kept: list[int] = []
    for index in sorted(range(len(boxes)), key=lambda i: -rank[i]):
        if all(overlap[index, other] <= max_overlap for other in kept):
            kept.append(index)
    return sorted(kept)


def unmatched_detections(
    detections: Sequence[FaceBox], tracked: Sequence[FaceBox], max_overlap: float = 0.3
) -> list[FaceBox]:
    """The detections that lie on no tracked face (intersection over union at most ``max_overlap``): the new faces."""
    overlap = overlaps(detections, tracked).max(axis=1, initial=0.0)
    return [box for box, share in zip(detections, overlap, strict=True) if share <= max_overlap]


class _Seen(NamedTuple):
    """A face in one frame."""

    box: FaceBox
    appearance: FloatArray | None
    is_free: bool  # without parts of another face


class FaceAssociator:
    """Hands out ids, from 0, that stay with their faces. One per source; single-threaded.

    Every live or lost face has a position, a velocity and an appearance. Boxes are matched to where the faces should be
    by now, the best pairs first, live faces before lost ones. A crop that went over to another face, as crops do where
    faces cross, is told by what it shows.
    """

    def __init__(self, settings: AssociationSettings | None = None) -> None:
        self._settings = settings or AssociationSettings()
        self._tracks: dict[int, Track] = {}
        self._time_s = -math.inf
        self._next_id = 0

    def reset(self) -> None:
        """Forgets all faces, as for a seek; ids go on counting."""
        self._tracks.clear()
        self._time_s = -math.inf

    def cut(self) -> None:
        """After a cut, or a pan as quick as one, places say nothing: faces are found again by appearance alone."""
        for track in self._tracks.values():
            track.motion.holds = False

    def needs_appearances(self, time_s: float, previous_ids: Sequence[int | None]) -> bool:
        """Whether they would tell anything: not of the only face that there is, as it was seen a moment ago."""
        if len(previous_ids) != 1 or len(self._tracks) != 1 or previous_ids[0] not in self._tracks:
            return True
        track = self._tracks[previous_ids[0]]
        return not track.motion.holds or time_s - track.remembered_s >= _REMEMBERED_EVERY_S

    def drop_duplicates(
        self,
        boxes: Sequence[FaceBox],
        time_s: float,
        previous_ids: Sequence[int | None],
        appearances: Sequence[FloatArray] | None = None,
        max_overlap: float = 0.5,
    ) -> list[int]:
        """Indices of the boxes to keep where several have come to lie on one face, ascending.

        The one stays that its own motion brought there and that looks like itself: where one face passes before
        another, the hidden one's box slides onto the face in front. Between equals, the older; tracked faces come
        before new ones.

        Args:
            previous_ids: for each box the id of the track whose crop it came from, None for a new detection.
            appearances: of the face in each box, see ``appearance.py``; default: not known.
        """

        if len(boxes) < 2:
            return [*range(len(boxes))]

        def priority(i: int) -> tuple[bool, float, float, float]:
            box, face_id = boxes[i], previous_ids[i]
            track = None if face_id is None else self._tracks.get(face_id)
            if face_id is None or track is None:
                return False, 0.0, 0.0, box.score
            motion = track.motion
            error = distance(motion.predicted(time_s, self._settings), box, motion.size)
            error += _APPEARANCE_SIZES * track.unlike(None if appearances is None else appearances[i])
            # Less than a tenth of a face is noise, not a sign of having slid.
            return True, -round(error, 1), -face_id, box.score

        order = sorted(range(len(boxes)), key=priority)
        ranks = {index: float(rank) for rank, index in enumerate(order)}
        return drop_duplicates(boxes, [ranks[i] for i in range(len(boxes))], max_overlap)

    def update(
        self,
        boxes: Sequence[FaceBox],
        time_s: float,
        previous_ids: Sequence[int | None] | None = None,
        appearances: Sequence[FloatArray] | None = None,
    ) -> list[int]:
        """Gives every box of a frame its id, and takes faces without a box for lost.

        Args:
            boxes: at most one per face (see ``drop_duplicates``), any order.
            time_s: the frame's time. A time before the last one (a seek) forgets all faces first.
            previous_ids: for each box the id of the track whose crop it came from, None where that is not known; such a
                box keeps its id, unless its appearance tells that the crop went over to another. Default: none is
                known, all are matched.
            appearances: of the face in each box, see ``appearance.py``; default: not known.

        Returns:
            One id per box, in the order of the boxes, no two alike.
        """
        if time_s < self._time_s:
            self.reset()
        self._tracks = {
            face_id: track
            for face_id, track in self._tracks.items()
            if time_s - track.motion.time_s <= max(self._settings.max_lost_s, self._settings.max_alike_s)
        }
        free = overlaps(boxes, boxes).sum(axis=1) <= 1 + _FREE  # each lies on itself
        faces = [
            _Seen(box, None if appearances is None else appearances[i], bool(free[i])) for i, box in enumerate(boxes)
        ]
        ids: list[int | None] = [None] * len(boxes)
        for index, face_id in enumerate(previous_ids or ()):
            if face_id in self._tracks and face_id not in ids:
                ids[index] = face_id
        live = [face_id for face_id, track in self._tracks.items() if track.motion.time_s >= self._time_s]
        lost = [face_id for face_id in self._tracks if face_id not in live]
        self._exchange(faces, ids, time_s)
        self._give_back(faces, ids, time_s)
        self._match(faces, ids, live, time_s, lost=False)
        self._match(faces, ids, lost, time_s, lost=True)

        assigned = []
        for face, face_id in zip(faces, ids, strict=True):
            if face_id is None:
                face_id = self._next_id
                self._next_id += 1
                self._tracks[face_id] = Track(face.box, time_s)
            track = self._tracks[face_id]
            track.motion = track.motion.moved(face.box, time_s, self._settings)
            if face.is_free:
                track.remember(face.appearance, time_s)
            assigned.append(face_id)
        self._time_s = time_s
        return assigned

    def _exchange(self, faces: Sequence[_Seen], ids: list[int | None], time_s: float) -> None:
        """Two faces whose crops have changed places exchange their ids; one of them may be new, and have none."""
        for i, j in _near_pairs(faces):
            tracks = {k: self._tracks[face_id] for k, face_id in ((i, ids[i]), (j, ids[j])) if face_id is not None}
            if not tracks or not (faces[i].is_free and faces[j].is_free):
                continue
            as_it_is = sum(track.unlike(faces[k].appearance) for k, track in tracks.items())
            exchanged = sum(track.unlike(faces[i + j - k].appearance) for k, track in tracks.items())
            if exchanged <= len(tracks) * _ALIKE and as_it_is - exchanged > len(tracks) * _CLEARLY:
                ids[i], ids[j] = ids[j], ids[i]
                motions = {k: track.motion for k, track in tracks.items()}
                for k, track in tracks.items():
                    track.motion = motions.get(i + j - k) or Motion(faces[i + j - k].box, time_s)

    def _give_back(self, faces: Sequence[_Seen], ids: list[int | None], time_s: float) -> None:
        """A followed face gets the id of one that was lost where it looks like that one, and not like its own.

        A face that was just found has no appearance of its own yet.
        """
        for i, face_id in enumerate(ids):
            if face_id is None or not faces[i].is_free:
                continue
            box, appearance, followed = faces[i].box, faces[i].appearance, self._tracks[face_id]
            for lost_id in self._tracks.keys() - set(ids):
                lost = self._tracks[lost_id]
                if not lost.motion.holds:
                    continue
                place = lost.motion.predicted(time_s, self._settings)
                is_young = lost.motion.time_s < followed.born_s > time_s - _YOUNG_S
                unlike = math.inf if is_young else followed.unlike(appearance)
                if (
                    lost.has_appearance
                    and lost.unlike(appearance) <= min(_ALIKE, unlike - _CLEARLY)
                    and distance(place, box, lost.motion.size) <= _NEAR
                ):
                    ids[i] = lost_id
                    lost.motion = replace(followed.motion)
                    break

    def _match(
        self, faces: Sequence[_Seen], ids: list[int | None], candidates: Sequence[int], time_s: float, *, lost: bool
    ) -> None:
        """Fills in what is open in ``ids`` from the candidates, best pairs first."""
        open_faces = [index for index, face_id in enumerate(ids) if face_id is None]
        free = [face_id for face_id in candidates if face_id not in ids]
        pairs = []
        for face_id, index in product(free, open_faces):
            cost = self._cost(self._tracks[face_id], faces[index], time_s, lost=lost)
            if cost is not None:
                pairs.append((cost, face_id, index))
        for _, face_id, index in sorted(pairs):
            if ids[index] is None and face_id not in ids:
                ids[index] = face_id

    def _cost(self, track: Track, face: _Seen, time_s: float, *, lost: bool) -> float | None:
        """How little a face agrees with a track, in face sizes; None: it can't be the same."""
        settings, motion, unlike = self._settings, track.motion, track.unlike(face.appearance)
        is_alike = track.has_appearance and face.appearance is not None and unlike <= _ALIKE
        if not motion.holds:
            return _APPEARANCE_SIZES * unlike if is_alike else None
        away = distance(motion.predicted(time_s, settings), face.box, motion.size)
        if lost:
            # A face that was hidden may have stopped: its last place counts as much as where it was heading.
            away = min(away, distance(np.array(motion.box.centre), face.box, motion.size))
        if is_alike:  # however large: a box swells behind another
            limit = settings.max_alike_distance
        else:
            growth = abs(math.log(size_of(face.box) / motion.size))
            if time_s - motion.time_s > settings.max_lost_s or growth > math.log(settings.max_size_ratio):
                return None
            limit = settings.max_lost_distance if lost else settings.max_distance
        if away > limit or unlike > _UNLIKE:
            return None
        return away + _APPEARANCE_SIZES * unlike


def _near_pairs(faces: Sequence[_Seen]) -> list[tuple[int, int]]:
    """Places of faces that are near enough to each other to have changed places since the last frame."""
    if len(faces) < 2:
        return []
    centres = np.array([face.box.centre for face in faces]).reshape(-1, 2)
    sizes = np.array([size_of(face.box) for face in faces])
    apart = np.linalg.norm(centres[:, None] - centres, axis=-1)
    return [(i, j) for i, j in np.argwhere(np.triu(apart <= _NEAR * sizes, 1)).tolist()]


def _corners(boxes: Sequence[FaceBox]) -> NDArray[np.float64]:
    return np.array([box.xyxy for box in boxes], dtype=np.float64).reshape(-1, 4)


def _areas(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((corners[..., 2:] - corners[..., :2]).prod(axis=-1))
