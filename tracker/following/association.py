"""Which face is which between frames.

Positions only: boxes, their motion and time. Distances are in face sizes and times in seconds, so that nothing here
depends on resolution or frame rate. Faces are not recognised: whoever stands where another stood a moment ago, as after
a cut between scenes, gets that one's id.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tracker.config import AssociationSettings
from tracker.types import FaceBox


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


class FaceAssociator:
    """Hands out ids, from 0, that stay with their faces. One per source; single-threaded.

    Every live or lost face has a position and a velocity; boxes are matched to where the faces should be by now, the
    closest pairs first, live faces before lost ones.
    """

    def __init__(self, settings: AssociationSettings | None = None) -> None:
        self._settings = settings or AssociationSettings()
        self._tracks: dict[int, _Track] = {}
        self._time_s = -math.inf
        self._next_id = 0

    def reset(self) -> None:
        """Forgets all faces, as for a seek; ids go on counting."""
        self._tracks.clear()
        self._time_s = -math.inf

    def drop_duplicates(
        self,
        boxes: Sequence[FaceBox],
        time_s: float,
        previous_ids: Sequence[int | None],
        max_overlap: float = 0.5,
    ) -> list[int]:
        """Indices of the boxes to keep where several have come to lie on one face, ascending.

        The one stays that its own motion brought there: where one face passes before another, the hidden one's box
        slides onto the face in front. Between equals, the older; tracked faces come before new ones.

        Args:
            previous_ids: for each box the id of the track whose crop it came from, None for a new detection.
        """

        def priority(box: FaceBox, face_id: int | None) -> tuple[bool, float, float, float]:
            track = None if face_id is None else self._tracks.get(face_id)
            if face_id is None or track is None:
                return False, 0.0, 0.0, box.score
            # Less than a tenth of a face is noise, not a sign of having slid.
            error = round(_distance(track.predicted(time_s, self._settings), box, track.size), 1)
            return True, -error, -face_id, box.score

        order = sorted(range(len(boxes)), key=lambda i: priority(boxes[i], previous_ids[i]))
        ranks = {index: float(rank) for rank, index in enumerate(order)}
        return drop_duplicates(boxes, [ranks[i] for i in range(len(boxes))], max_overlap)

    def update(
        self, boxes: Sequence[FaceBox], time_s: float, previous_ids: Sequence[int | None] | None = None
    ) -> list[int]:
        """Gives every box of a frame its id, and takes faces without a box for lost.

        Args:
            boxes: at most one per face (see ``drop_duplicates``), any order.
            time_s: the frame's time. A time before the last one (a seek) forgets all faces first.
            previous_ids: for each box the id of the track whose crop it came from, None where that is not known;
                such a box keeps its id. Default: none is known, all are matched by position.

        Returns:
            One id per box, in the order of the boxes, no two alike.
        """
        if time_s < self._time_s:
            self.reset()
        self._tracks = {
            face_id: track
            for face_id, track in self._tracks.items()
            if time_s - track.time_s <= self._settings.max_lost_s
        }
        ids: list[int | None] = [None] * len(boxes)
        for index, face_id in enumerate(previous_ids or ()):
            if face_id in self._tracks and face_id not in ids:
                ids[index] = face_id
        live = [face_id for face_id, track in self._tracks.items() if track.time_s >= self._time_s]
        lost = [face_id for face_id in self._tracks if face_id not in live]
        self._match(boxes, ids, live, time_s, lost=False)
        self._match(boxes, ids, lost, time_s, lost=True)

        assigned = []
        for box, face_id in zip(boxes, ids, strict=True):
            if face_id is None:
                face_id = self._next_id
                self._next_id += 1
                self._tracks[face_id] = _Track(box, time_s)
            else:
                self._tracks[face_id].move(box, time_s, self._settings)
            assigned.append(face_id)
        self._time_s = time_s
        return assigned

    def _match(
        self, boxes: Sequence[FaceBox], ids: list[int | None], candidates: Sequence[int], time_s: float, *, lost: bool
    ) -> None:
        """Fills in what is open in ``ids`` from the candidates, closest pairs first."""
        open_boxes = [index for index, face_id in enumerate(ids) if face_id is None]
        free = [face_id for face_id in candidates if face_id not in ids]
        if not open_boxes or not free:
            return
        tracks = [self._tracks[face_id] for face_id in free]
        centres = np.array([boxes[index].centre for index in open_boxes])
        sizes = np.array([track.size for track in tracks])[:, None]

        def distances(places: list[NDArray[np.float64]]) -> NDArray[np.float64]:
            return np.asarray(np.linalg.norm(np.array(places)[:, None] - centres, axis=2) / sizes)

        distance = distances([track.predicted(time_s, self._settings) for track in tracks])
        if lost:
            # A face that was hidden may have stopped: its last place counts as much as where it was heading.
            distance = np.minimum(distance, distances([np.array(track.box.centre) for track in tracks]))
        growth = np.abs(np.log(np.array([_size(boxes[index]) for index in open_boxes]) / sizes))
        limit = self._settings.max_lost_distance if lost else self._settings.max_distance
        possible = (distance <= limit) & (growth <= math.log(self._settings.max_size_ratio))
        for row, column in sorted(np.argwhere(possible).tolist(), key=lambda pair: float(distance[pair[0], pair[1]])):
            if ids[open_boxes[column]] is None and free[row] not in ids:
                ids[open_boxes[column]] = free[row]


class _Track:
    """Where a face was last seen, and how fast it moved."""

    def __init__(self, box: FaceBox, time_s: float) -> None:
        self.box = box
        self.time_s = time_s
        self.velocity: NDArray[np.float64] | None = None  # (2,) px/s; None: seen once

    @property
    def size(self) -> float:
        return _size(self.box)

    def predicted(self, time_s: float, settings: AssociationSettings) -> NDArray[np.float64]:
        """(2,) the centre at a later time: uniform motion that comes to rest."""
        centre = np.array(self.box.centre)
        if self.velocity is None:
            return centre
        reach = settings.velocity_reach_s
        return np.asarray(centre + self.velocity * reach * -math.expm1(-(time_s - self.time_s) / reach))

    def move(self, box: FaceBox, time_s: float, settings: AssociationSettings) -> None:
        elapsed_s = time_s - self.time_s
        if elapsed_s > 0:
            velocity = (np.array(box.centre) - np.array(self.box.centre)) / elapsed_s
            if self.velocity is None:
                self.velocity = velocity
            else:
                weight = -math.expm1(-elapsed_s / settings.velocity_memory_s)
                self.velocity = self.velocity + weight * (velocity - self.velocity)
        self.box, self.time_s = box, time_s


def _corners(boxes: Sequence[FaceBox]) -> NDArray[np.float64]:
    return np.array([box.xyxy for box in boxes], dtype=np.float64).reshape(-1, 4)


def _areas(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((corners[..., 2:] - corners[..., :2]).prod(axis=-1))


def _size(box: FaceBox) -> float:
    return max(box.width, box.height, 1e-3)


def _distance(place: NDArray[np.float64], box: FaceBox, size: float) -> float:
    """Between a place and a box's centre, in face sizes."""
    return float(np.hypot(*(place - np.array(box.centre)))) / size
