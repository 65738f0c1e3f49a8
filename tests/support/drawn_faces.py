"""A synthetic frame with faces of 21 landmarks: everything that overlays draw of a face, without a network."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from models.landmark_schemes import LandmarkScheme
from tracker.overlays import OverlayContext
from tracker.types import FaceBox, Frame, Matrix, TrackedFace, TrackingResult

CROP = 64  # px
MAP = 32  # px
# A jaw of nine points, two eyes of four, a mouth of four, in units of half the face's width.
JAW = [(-np.cos(a), np.sin(a) * 1.3) for a in np.linspace(0, np.pi, 9)]
EYES = [(x + dx, -0.15 + dy) for x in (-0.42, 0.42) for dx, dy in ((-0.2, 0), (0, -0.1), (0.2, 0), (0, 0.1))]
MOUTH = [(-0.4, 0.65), (0.0, 0.55), (0.4, 0.65), (0.0, 0.85)]
SHAPE = np.array(JAW + EYES + MOUTH)
LOOPS = [(*range(first, first + 4), first) for first in (9, 13, 17)]
SCHEME = LandmarkScheme(
    name="golden-21",
    point_names=tuple(f"p{i}" for i in range(len(SHAPE))),
    edges=tuple((a, b) for path in (range(9), *LOOPS) for a, b in pairwise(path)),
)
CONTEXT = OverlayContext(SCHEME)


def make_face(face_id: int, centre: tuple[float, float], half_width: float, roll: float = 0.0) -> TrackedFace:
    """A face whose heatmap peaks at its points and whose reconstruction is a plain ramp."""
    turn = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    points = (SHAPE * half_width) @ turn.T + centre
    scale = 3.4 * half_width / CROP
    middle = np.full(2, (CROP - 1) / 2)
    frame_from_crop: Matrix = np.column_stack([scale * turn, np.array(centre) - scale * turn @ middle])
    in_map = ((points - centre) @ turn / (scale or 1.0) + middle + 0.5) * MAP / CROP - 0.5
    confidence = np.linspace(0.05, 1, len(points))
    v, u = np.mgrid[:MAP, :MAP]
    distance = (u - in_map[:, 0, None, None]) ** 2 + (v - in_map[:, 1, None, None]) ** 2
    heatmap = (confidence[:, None, None] * np.exp(-distance / 2)).max(axis=0)
    ramp = np.broadcast_to(np.linspace(40, 220, CROP)[:, None, None], (CROP, CROP, 3)).astype(np.uint8)
    box = FaceBox(np.concatenate([points.min(axis=0), points.max(axis=0)]).astype(np.float32), float(confidence.mean()))
    return TrackedFace(
        face_id,
        points.astype(np.float32),
        confidence.astype(np.float32),
        box,
        frame_from_crop,
        CROP,
        heatmap.astype(np.float32),
        ramp,
        recon_error=12.5,
    )


def two_faces() -> TrackingResult:
    """The frame of the golden pictures."""
    y, x = np.mgrid[:240, :320]
    image = np.stack([90 + x // 4, 80 + y // 4, 150 - x // 4], axis=2).astype(np.uint8)
    faces = (make_face(0, (85.3, 95.6), 48, 0.1), make_face(1, (220.5, 150.25), 30, -0.4))
    return TrackingResult(Frame(image, 0, 0.0), faces)
