"""What is known of one face over time: where it was seen last, how fast it moved, and what it looks like."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracker.config import AssociationSettings
from tracker.following.appearance import difference
from tracker.types import FaceBox, FloatArray

_APPEARANCE_MEMORY_S = 2.0  # time constant over which an appearance is averaged


@dataclass(slots=True, eq=False)
class Motion:
    """Where a face was seen last, and how fast it moved."""

    box: FaceBox
    time_s: float
    velocity: NDArray[np.float64] | None = None  # (2,) px/s; None: seen once
    holds: bool = True  # False: the picture has changed since

    @property
    def size(self) -> float:
        return size_of(self.box)

    def predicted(self, time_s: float, settings: AssociationSettings) -> NDArray[np.float64]:
        """(2,) the centre at a later time: uniform motion that comes to rest."""
        centre = np.array(self.box.centre)
        if self.velocity is None:
            return centre
        reach = settings.velocity_reach_s
        return np.asarray(centre + self.velocity * reach * -math.expm1(-(time_s - self.time_s) / reach))

    def moved(self, box: FaceBox, time_s: float, settings: AssociationSettings) -> Motion:
        """After it was seen again."""
        if not self.holds:
            return Motion(box, time_s)
        velocity, elapsed_s = self.velocity, time_s - self.time_s
        if elapsed_s > 0:
            latest = (np.array(box.centre) - np.array(self.box.centre)) / elapsed_s
            weight = 1.0 if velocity is None else -math.expm1(-elapsed_s / settings.velocity_memory_s)
            velocity = latest if velocity is None else velocity + weight * (latest - velocity)
        return Motion(box, time_s, velocity)


class Track:
    """A face that is followed, or was lost a moment ago."""

    def __init__(self, box: FaceBox, time_s: float) -> None:
        self.motion = Motion(box, time_s)
        self.born_s = time_s
        self._appearance: FloatArray | None = None
        self.remembered_s = time_s  # when its appearance was last known

    @property
    def has_appearance(self) -> bool:
        """Whether it was ever seen without parts of another face."""
        return self._appearance is not None

    def unlike(self, appearance: FloatArray | None) -> float:
        """How much an appearance differs from the face's own; 0 where one of them is not known."""
        return 0.0 if self._appearance is None or appearance is None else difference(self._appearance, appearance)

    def remember(self, appearance: FloatArray | None, time_s: float) -> None:
        """Averages what it looks like now with what it has looked like."""
        if appearance is None:
            return
        weight = np.float32(-math.expm1(-(time_s - self.remembered_s) / _APPEARANCE_MEMORY_S))
        known = appearance if self._appearance is None else self._appearance
        self._appearance = known + weight * (appearance - known)
        self.remembered_s = time_s


def size_of(box: FaceBox) -> float:
    """The longer side, px."""
    return max(box.width, box.height, 1e-3)


def distance(place: NDArray[np.float64], box: FaceBox, size: float) -> float:
    """Between a place and a box's centre, in face sizes."""
    return float(np.hypot(*(place - np.array(box.centre)))) / size
