"""Where, and how closely, a frame is looked at for faces that are not followed yet.

A quick look at the whole frame costs little and finds what is near. A close one, for small faces, costs twenty times
that; it is worth it where the picture has changed, as somebody may have come. Faces that lie or hang upside down are
looked for last, where there is none that is upright.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tracker.config import DetectionConfig
from tracker.detectors import FaceDetector
from tracker.detectors.turning import turned, turned_back
from tracker.types import FaceBox, FloatArray, ImageArray

_CHANGE = 12.0  # grey levels of a cell, 0..255, beyond what the whole picture changed by: noise stays below 4
_DRIFT_FOR_S = 2.0  # what changes by less within that time is a camera that drifts, or the sun
_MOST_ALLOWED = 0.4  # whole frames of close looks, saved up for when much happens
_CHECKED_EVERY_S = 0.1  # whether anything has changed
_MISSED_FOR_S = 5.0  # so long a face that was lost is looked for, though nothing changes
_BLOCKS = (4, 3)  # across and down: parts of the frame consist of whole ones, so that networks see few sizes
# Where a followed person moves: half the width, up and down from the face's middle, in sides of its box.
_PERSON = ((0.9, 1.0, 1.0), (1.6, 0.0, 4.0))  # head, body
# In units of the smallest face that is wanted of a video: photos, where there is time; faces that lie, in videos.
_STILL_SMALLEST, _TURNED_SMALLEST = 0.55, 2.0
_TURNS = (1, 3, 2)  # quarters to the left: lying comes before hanging


Part = tuple[int, int, int, int]  # left, top, right, bottom of a rectangle, whole px


@dataclass(frozen=True, slots=True)
class Look:
    """One look of a detector at a frame or a part of it."""

    smallest_px: float | None = None  # see FaceDetector.detect
    quarter_turns: int = 0  # of the image, to the left
    part: Part | None = None  # None: all of it

    def find(self, detector: FaceDetector, image: ImageArray) -> list[FaceBox]:
        """The faces that this look finds, in frame pixels."""
        left, top, right, bottom = self.part or (0, 0, image.shape[1], image.shape[0])
        seen = image[top:bottom, left:right]
        if self.quarter_turns:
            seen = turned(seen, self.quarter_turns)
        boxes = detector.detect(seen, smallest_px=self.smallest_px)
        if self.quarter_turns:
            boxes = [turned_back(box, self.quarter_turns, right - left, bottom - top) for box in boxes]
        offset = np.array([left, top, left, top], np.float32)
        return [FaceBox(box.xyxy + offset, box.score, box.roll) for box in boxes]


@dataclass(frozen=True, slots=True, eq=False)
class SearchState:
    """What the tracker knows of a frame before it looks for new faces."""

    image: ImageArray  # (H, W, 3)
    time_s: float
    thumbnail: FloatArray  # (h, w) grey, 0..255, of the whole frame
    followed: Sequence[FaceBox]
    lost: bool  # a face that was followed in the last frame is not found in this one
    recorded: bool  # there is no hurry


class FaceSearch:
    """Decides when and where to look for new faces. Single-threaded; one per source."""

    def __init__(self, config: DetectionConfig) -> None:
        self._config = config
        self._next_turn = 0  # of _TURNS, where there is a hurry
        self.reset()

    def reset(self) -> None:
        """As for another source."""
        self._allowance, self._allowance_s = _MOST_ALLOWED, math.inf  # of close looks: whole frames, and as of when
        self.forget()

    def forget(self) -> None:
        """Forgets what was seen: the next frame does not follow the last one."""
        self._seen: FloatArray | None = None  # the thumbnail; each cell as it was when last looked at closely
        self._looked_s = self._swept_s = self._turned_s = self._missed_s = self._refreshed_s = -math.inf
        self._next_check_s = -math.inf

    def looks(self, state: SearchState) -> list[Look]:
        """What to do with this frame, in order; the looks at the turned image only if no face is found before."""
        if state.lost:
            self._missed_s = state.time_s
        due = state.time_s - self._looked_s >= self._config.period_s
        new: list[Part] = []
        if due and (not state.followed or state.time_s >= self._next_check_s):
            self._next_check_s = state.time_s + _CHECKED_EVERY_S
            new = self._parts_with_news(state)
        missing = due and state.time_s - self._missed_s < _MISSED_FOR_S
        if state.followed and not (state.lost or missing or new):
            return []
        if due:
            self._looked_s = state.time_s
        close = self._config.smallest_px(state.image)
        quick = close if self._config.small_faces else None
        closely = quick is None and self._may_look_closely(state)
        # Where nobody is missing, a close look at what is new leaves nothing to a quick one.
        looks = [] if closely and new and state.followed and not (state.lost or missing) else [Look(quick)]
        if closely:
            looks += [Look(close, part=part) for part in new]
            self._note(state, new)
        return looks + [Look(_TURNED_SMALLEST * close, turns) for turns in self._turns(state)]

    def _parts_with_news(self, state: SearchState) -> list[Part]:
        """The parts of the frame that changed since they were last looked at closely, or all of it when its time came.

        What followed people do is no news.
        """
        height, width = state.image.shape[:2]
        period_s = self._config.sweep_period_s if state.followed else self._config.lone_period_s
        if self._seen is None or state.time_s - self._swept_s >= period_s:
            return [(0, 0, width, height)]
        changed = _changed(state.thumbnail, self._seen) & ~_explained(state)
        if state.time_s - self._refreshed_s >= _DRIFT_FOR_S:
            self._seen = np.where(changed, self._seen, state.thumbnail)
            self._refreshed_s = state.time_s
        (across, down), parts = _BLOCKS, _blocks_around(changed)
        return [
            (x0 * width // across, y0 * height // down, x1 * width // across, y1 * height // down)
            for x0, y0, x1, y1 in parts
        ]

    def _may_look_closely(self, state: SearchState) -> bool:
        """Where faces are followed, close looks have to be few; where none is, finding one comes first."""
        elapsed_s = max(state.time_s - self._allowance_s, 0.0)
        self._allowance = min(self._allowance + elapsed_s / self._config.sweep_period_s, _MOST_ALLOWED)
        self._allowance_s = state.time_s
        return not state.followed or self._allowance > 0

    def _note(self, state: SearchState, parts: Sequence[Part]) -> None:
        """These parts are looked at closely now."""
        height, width = state.image.shape[:2]
        rows, columns = state.thumbnail.shape
        if self._seen is None:
            self._seen = state.thumbnail.copy()
        for left, top, right, bottom in parts:
            cells = np.s_[
                top * rows // height : -(-bottom * rows // height),
                left * columns // width : -(-right * columns // width),
            ]
            self._seen[cells] = state.thumbnail[cells]
            if (right - left, bottom - top) == (width, height):
                self._swept_s = state.time_s
            if state.followed:
                self._allowance -= (right - left) * (bottom - top) / (width * height)

    def _turns(self, state: SearchState) -> tuple[int, ...]:
        """Quarter turns in which to look, where no face is followed."""
        if state.followed or state.time_s < self._turned_s + self._config.lone_period_s:
            return ()
        self._turned_s = state.time_s
        if state.recorded:
            return _TURNS
        self._next_turn += 1
        return (_TURNS[self._next_turn % len(_TURNS)],)


def looks_at_still(image: ImageArray, config: DetectionConfig) -> list[Look]:
    """All that may be done for a photo, in order; the looks at the turned image only if no face is found before."""
    close = _STILL_SMALLEST * config.smallest_px(image)
    return [Look(px, turns) for turns in (0, *_TURNS) for px in (None, close)]


def _changed(thumbnail: FloatArray, before: FloatArray) -> NDArray[np.bool_]:
    """The cells, (h, w), that show what neither they nor their neighbours showed before; not those that do so alone.

    A camera that shakes moves nothing by more than a cell, and a light that goes on changes all of them alike.
    """
    before = before + np.median(thumbnail - before)
    around = np.ones((3, 3), np.uint8)
    brighter = thumbnail - cv2.dilate(before, around)
    darker = cv2.erode(before, around) - thumbnail
    changed = (np.maximum(brighter, darker) > _CHANGE).astype(np.uint8)
    _, blob_of, blobs, _ = cv2.connectedComponentsWithStats(changed)
    large = blobs[:, cv2.CC_STAT_AREA] > 1
    large[0] = False  # what has not changed
    return np.asarray(large[blob_of])


def _blocks_around(changed: NDArray[np.bool_]) -> list[Part]:
    """Rectangles of whole blocks that hold all changed cells and their neighbours; neighbouring blocks share one."""
    rows, columns = np.nonzero(cv2.dilate(changed.astype(np.uint8), np.ones((3, 3), np.uint8)))
    (across, down), (height, width) = _BLOCKS, changed.shape
    blocks = np.zeros((down, across), np.uint8)
    blocks[rows * down // height, columns * across // width] = 1
    _, _, found, _ = cv2.connectedComponentsWithStats(blocks)
    return [(x, y, x + w, y + h) for x, y, w, h, _ in found[1:].tolist()]


def _explained(state: SearchState) -> NDArray[np.bool_]:
    """The cells, (h, w), in which whatever changes is a followed face or what it sits on."""
    shape = state.thumbnail.shape
    cells_per_px = np.array(shape) / state.image.shape[:2]
    mask = np.zeros(shape, bool)
    for box in state.followed:
        x, y = box.centre
        for half_width, up, down in _PERSON:
            low = np.array([y - up * box.width, x - half_width * box.width]) * cells_per_px
            high = np.array([y + down * box.width, x + half_width * box.width]) * cells_per_px
            (top, left), (bottom, right) = np.floor(low).clip(0).astype(int), np.ceil(high).clip(0).astype(int)
            mask[top:bottom, left:right] = True
    return mask
