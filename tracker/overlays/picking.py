"""Which landmark of a drawn picture somebody points at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracker.types import TrackingResult

_REACH = 0.08  # of the face's size: further from a landmark nothing is picked


@dataclass(frozen=True, slots=True)
class PickedLandmark:
    """A landmark of one face."""

    face_id: int
    index: int  # 0-based, in the scheme
    confidence: float  # 0..1


def pick_landmark(result: TrackingResult, x: float, y: float, *, least_reach_px: float = 0.0) -> PickedLandmark | None:
    """The landmark nearest to a position, None if none is near.

    Args:
        x: pixels of the picture that ``render`` made; its second half, if it has one, counts as the first.
        y: likewise.
        least_reach_px: how far away a landmark may at least be, however small its face.
    """
    width = result.frame.image.shape[1]
    at = np.array([x - width if x >= width - 0.5 else x, y])
    nearest: tuple[float, PickedLandmark] | None = None
    for face in result.faces:
        distances = np.linalg.norm(face.points - at, axis=1)
        distances[~np.isfinite(distances)] = np.inf
        index = int(distances.argmin())
        distance = float(distances[index])
        reach = max(_REACH * max(face.box.width, face.box.height), least_reach_px)
        if distance <= reach and (nearest is None or distance < nearest[0]):
            nearest = distance, PickedLandmark(face.face_id, index, float(face.confidence[index]))
    return None if nearest is None else nearest[1]
