from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.crop_rule import CropRule
from models.landmark_schemes import IBUG_68
from training.augmentation import AugmentationConfig, augmented_crop, change_colours, degrade, mirror, occlude

STRONG = AugmentationConfig(
    flip=0.5, translation=0.05, scale=0.1, rotation_deg=30, occlusion=1, brightness=0.2, contrast=0.3,
    saturation=0.3, colour_cast=0.1, grey=0.2, blur=0.5, noise=0.02,
)  # fmt: skip


def marked_face(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A dark image with a bright blob on every landmark of a made-up face."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(80, 320, (68, 2)).astype(np.float32)
    points[36:42] = (150, 180)
    points[42:48] = (250, 180)
    image = np.zeros((400, 400, 3), np.float32)
    for x, y in points:
        ys, xs = np.mgrid[:400, :400]
        image += np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / 18)[..., None] * 255
    return np.clip(image, 0, 255).astype(np.uint8), points


IMAGE, POINTS = marked_face(0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_image_and_points_move_together(seed: int) -> None:
    geometry = AugmentationConfig(flip=0.5, translation=0.1, scale=0.2, rotation_deg=45)
    rng = np.random.default_rng(seed)
    crop, points, _ = augmented_crop(IMAGE, POINTS, IBUG_68, 256, CropRule(), geometry, rng)
    inside = ((points > 3) & (points < 252)).all(axis=1)
    assert inside.mean() > 0.5
    values = cv2.remap(crop, points[inside, 0], points[inside, 1], cv2.INTER_LINEAR)
    assert values.min() > 180


def test_the_identity_changes_nothing_but_the_crop() -> None:
    rng = np.random.default_rng(0)
    crop, points, mirrored = augmented_crop(IMAGE, POINTS, IBUG_68, 128, CropRule(), AugmentationConfig(), rng)
    again, same, _ = augmented_crop(IMAGE, POINTS, IBUG_68, 128, CropRule(), AugmentationConfig(), rng)
    assert not mirrored
    assert np.array_equal(crop, again)
    assert np.array_equal(points, same)


def test_mirroring_twice_is_the_identity() -> None:
    image, points = mirror(*mirror(IMAGE, POINTS, IBUG_68), IBUG_68)
    assert np.array_equal(image, IMAGE)
    np.testing.assert_allclose(points, POINTS, atol=1e-4)


def test_a_seed_determines_the_crop() -> None:
    crops = [
        augmented_crop(IMAGE, POINTS, IBUG_68, 128, CropRule(), STRONG, np.random.default_rng(seed))[0]
        for seed in (5, 5, 6)
    ]
    assert np.array_equal(crops[0], crops[1])
    assert not np.array_equal(crops[0], crops[2])


@pytest.mark.parametrize("change", [change_colours, degrade, occlude])
def test_changes_keep_form_and_the_original(change: object) -> None:
    image = np.random.default_rng(1).integers(0, 256, (128, 128, 3), np.uint8)
    before = image.copy()
    for seed in range(20):
        out = change(image, STRONG, np.random.default_rng(seed))  # type: ignore[operator]
        assert out.shape == image.shape
        assert out.dtype == np.uint8
        assert np.array_equal(image, before)


def test_occlusion_covers_at_most_what_it_may() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    for seed in range(30):
        covered = occlude(image, AugmentationConfig(occlusion=1, occlusion_size=0.3), np.random.default_rng(seed))
        rows = np.flatnonzero(covered.any(axis=(1, 2)))
        if len(rows):
            assert rows[-1] - rows[0] < 32
