"""Labelled faces, pasted small into real frames: how many are found. Prints the figure that docs/detectors.md has."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.landmark_schemes import IBUG_68
from tracker.following.association import overlaps
from tracker.following.pipeline import FaceTracker
from tracker.geometry.crop import box_around_points
from tracker.sources import open_source
from tracker.types import Frame, ImageArray
from training.datasets.w300 import read_w300

FRAMES = ("no_face.mp4", "one_face_720p_a.mp4", "two_faces_720p.mp4", "portrait_720x1280.mp4", "same_clip.mp4")
SPAN = (0.03, 0.12)  # of the landmarks, of the frame's longer side
PASTED = 4  # into each frame, one a quarter


def backgrounds(folder: Path) -> list[ImageArray]:
    """A frame of each video."""
    images = []
    for name in FRAMES:
        with open_source(folder / name) as source:
            images.append(next(frame.image for frame in source if frame.index == 20))
    return images


@pytest.mark.slow
def test_small_faces_in_real_frames_are_found(
    shared_data: Path, face_tracker: FaceTracker, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    frames = backgrounds(shared_data / "videos")
    samples = read_w300(shared_data / "300w").samples[::6]
    found, total = 0, 0
    for start in range(0, len(samples) - PASTED, PASTED):
        image = frames[start // PASTED % len(frames)].copy()
        height, width = image.shape[:2]
        truth = []
        for place, sample in enumerate(samples[start : start + PASTED]):
            span = math.exp(rng.uniform(*np.log(SPAN))) * max(height, width)
            scale = span / float(np.ptp(sample.points, axis=0).max())
            photo = cv2.resize(sample.load_image(), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            photo = photo[: height // 2, : width // 2]
            down, across = photo.shape[:2]
            top = place // 2 * (height // 2) + int(rng.integers(0, height // 2 - down + 1))
            left = place % 2 * (width // 2) + int(rng.integers(0, width // 2 - across + 1))
            image[top : top + down, left : left + across] = photo
            points = (sample.points + 0.5) * scale - 0.5 + (left, top)
            truth.append(box_around_points(points.astype(np.float32), IBUG_68))
        faces = face_tracker.process_still(Frame(image, 0, 0.0)).faces
        if faces:
            tracked = [box_around_points(face.points, IBUG_68) for face in faces]
            found += int((overlaps(truth, tracked).max(axis=1) > 0.5).sum())
        total += len(truth)
    with capsys.disabled():
        print(f"\nlandmarks over 3 to 12 % of the longer side: {found} of {total} found ({found / total:.1%})")
    assert found >= 0.98 * total
