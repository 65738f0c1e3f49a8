"""Appearances: of one face alike, of two people not, on real faces."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest

from tracker.following.appearance import appearance_of, difference
from tracker.types import FloatArray, ImageArray

Face = tuple[ImageArray, FloatArray]


@pytest.fixture(scope="module")
def people(shared_data: Path) -> list[Face]:
    """Crops of twelve people, with their points in crop pixels."""
    made = []
    for path in sorted((shared_data / "300w/helen/trainset").glob("*_1.jpg"))[:600:50]:
        lines = path.with_suffix(".pts").read_text().splitlines()
        points = np.array([line.split() for line in lines if line[:1].isdigit()], np.float32) - 1
        image = cv2.imread(str(path))
        assert image is not None
        side = min(image.shape[:2])
        scale = 128 / side
        crop = cv2.resize(image[:side, :side, ::-1], (128, 128), interpolation=cv2.INTER_AREA)
        made.append((crop.astype(np.uint8), (points + 0.5) * scale - 0.5))
    return made


def test_an_appearance_has_no_light_and_little_of_where_the_crop_lies(people: list[Face]) -> None:
    for crop, points in people:
        own = appearance_of(crop, points)
        assert own.shape == (48,)
        darker = (crop * 0.7 + 10).astype(np.uint8)
        assert difference(own, appearance_of(darker, points)) < 0.03
        moved = appearance_of(np.roll(crop, (3, 2), (0, 1)), points + np.float32([2, 3]))
        assert difference(own, moved) < 0.02
        assert difference(own, appearance_of(crop, points + np.float32([2, -2]))) < 0.1


def test_two_people_look_different(people: list[Face]) -> None:
    all_of_them = [appearance_of(crop, points) for crop, points in people]
    differences = [difference(a, b) for a, b in combinations(all_of_them, 2)]
    assert np.median(differences) > 0.25
    assert np.mean(np.array(differences) < 0.1) < 0.05


def test_any_points_give_an_appearance(people: list[Face]) -> None:
    crop, points = people[0]
    for strange in (points * 0 - 50, points * 0 + 500, points * 0 + 64, points * 20):
        assert np.isfinite(appearance_of(crop, strange)).all()
    assert np.abs(appearance_of(np.full_like(crop, 7), points)).max() < 0.1
