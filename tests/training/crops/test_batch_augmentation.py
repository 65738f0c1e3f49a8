"""Batched augmentation: points stay on what they mark, and the generator alone decides."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models.crop_rule import CropRule
from models.landmark_schemes import IBUG_68
from tracker.geometry.crop import cut_crop, frame_from_crop_matrix, invert, transform_points
from tracker.types import FaceBox
from training.config import AugmentationConfig
from training.crops.random_appearance import change_appearance
from training.crops.random_crops import random_crops, stored_size
from training.crops.random_draws import Share

SIZE, SIDE = 128, 192
GEOMETRY = AugmentationConfig(flip=0.5, translation=0.08, scale=0.15, rotation_deg=35)
WARPED = replace(GEOMETRY, warp=0.1)
APPEARANCE = AugmentationConfig(
    occlusion=0.5, brightness=0.2, contrast=0.3, saturation=0.3, colour_cast=0.1, grey=0.2, blur=0.5, noise=0.02
)
MIRROR = torch.tensor(IBUG_68.mirror_permutation)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def marked_crops(count: int) -> tuple[Tensor, Tensor]:
    """Dark stored crops with a bright blob on each of 68 points, every point in a colour of its own."""
    points = torch.rand(count, 68, 2, generator=seeded(0)) * 100 + 46
    grid = torch.arange(SIDE)
    blobs = torch.exp(-((grid - points[..., None]) ** 2) / 8)  # (B, K, 2, C)
    images = torch.einsum("bky,bkx->byx", blobs[:, :, 1], blobs[:, :, 0]).clamp(0, 1)
    return (images * 255).round().byte()[:, None].expand(-1, 3, -1, -1).contiguous(), points


def random_images(count: int, side: int) -> Tensor:
    return torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=seeded(1))


@pytest.mark.parametrize("side", [SIZE, 179, 180])
def test_the_identity_is_the_central_square_bit_by_bit(side: int) -> None:
    stored, first = random_images(3, side), (side - SIZE) // 2
    images, points, mirrored = random_crops(
        stored, SIZE, AugmentationConfig(), seeded(0), torch.full((3, 1, 2), float(first)), torch.zeros(1).long()
    )
    expected = stored[:, :, first : first + SIZE, first : first + SIZE].float() / 255
    assert torch.equal(images, expected)
    assert points is not None
    torch.testing.assert_close(points, torch.zeros(3, 1, 2))
    assert not mirrored.any()


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_a_vanishing_change_is_nearly_the_identity(flip: float) -> None:
    stored = random_images(3, SIDE)
    exact = random_crops(stored, SIZE, AugmentationConfig(flip=flip), seeded(0)).images
    sampled = random_crops(stored, SIZE, AugmentationConfig(flip=flip, rotation_deg=1e-7), seeded(0)).images
    torch.testing.assert_close(sampled, exact, atol=1e-4, rtol=0)


@pytest.mark.parametrize("config", [GEOMETRY, WARPED])
@settings(max_examples=15)
@given(seed=st.integers(0, 2**62))
def test_image_and_points_move_together(config: AugmentationConfig, seed: int) -> None:
    stored, before = marked_crops(4)
    images, points, mirrored = random_crops(stored, SIZE, config, seeded(seed), before, MIRROR)
    assert points is not None
    # Undo the renaming of mirrored points, so that point k is blob k again.
    points = torch.where(mirrored.view(-1, 1, 1), points[:, MIRROR], points)
    inside = ((points > 2) & (points < SIZE - 3)).all(dim=-1)
    assert inside.float().mean() > 0.6
    for image, place, ok in zip(images, points, inside, strict=True):
        xy = place[ok].numpy()
        values = cv2.remap(image[0].numpy(), xy[:, 0], xy[:, 1], cv2.INTER_LINEAR)
        assert values.min() > 0.75


def test_a_warp_moves_places_apart_by_amounts_within_its_range() -> None:
    plain, warped = (AugmentationConfig(warp=share) for share in (0.0, 0.1))
    stored, before = marked_crops(32)
    straight = random_crops(stored, SIZE, plain, seeded(4), before, MIRROR).points
    moved = random_crops(stored, SIZE, warped, seeded(4), before, MIRROR).points
    assert straight is not None
    assert moved is not None
    by = moved - straight
    assert by.abs().max() <= 0.1 * SIZE
    assert 0.02 * SIZE < by.norm(dim=-1).mean() < 0.06 * SIZE
    assert by.std(dim=1).mean() > 0.01 * SIZE  # not one shift for all


@pytest.mark.parametrize("rule", [CropRule(), CropRule(margin=1.6, lift=0.15)])
def test_ranges_are_those_of_the_face_box(rule: CropRule) -> None:
    """Moving the box that a crop is cut from, in the frame, and moving the crop in the stored one come to the same."""
    rng = np.random.default_rng(0)
    photo = np.asarray(cv2.GaussianBlur(rng.integers(0, 256, (600, 600, 3), np.uint8), (0, 0), 4), np.uint8)
    box = FaceBox(np.array([200, 220, 330, 350], np.float32), 1.0)
    wide = replace(rule, margin=rule.margin * SIDE / SIZE)
    stored_from_frame = frame_from_crop_matrix(box, SIDE, wide)
    stored = torch.from_numpy(cut_crop(photo, stored_from_frame, SIDE).image).permute(2, 0, 1)[None]
    marks = np.array([[220.0, 240.0], [310.0, 260.0], [265.0, 340.0]])
    stored_marks = torch.from_numpy(transform_points(marks, invert(stored_from_frame)))[None]

    config = AugmentationConfig(translation=0.1, scale=0.2, rotation_deg=40)
    image, points, _ = random_crops(stored, SIZE, config, seeded(3), stored_marks, rule=rule)
    dx, dy, scale, angle = (2 * torch.rand(1, 5, generator=seeded(3))[0, :4] - 1).numpy() * [0.1, 0.1, 0.2, 40]
    half = 65 * (1 + scale)
    cx, cy = 265 + dx * 130, 285 + dy * 130
    jittered = FaceBox(
        np.array([cx - half, cy - half, cx + half, cy + half], np.float32), 1.0, float(np.radians(angle))
    )
    direct = frame_from_crop_matrix(jittered, SIZE, rule)
    assert points is not None
    np.testing.assert_allclose(points[0].numpy(), transform_points(marks, invert(direct)), atol=1e-3)
    expected = cut_crop(photo, direct, SIZE).image
    assert np.abs(image[0].permute(1, 2, 0).numpy() * 255 - expected).mean() < 1.5


def test_mirrored_points_take_their_partners_place() -> None:
    stored, points = marked_crops(2)
    flipped = random_crops(stored, SIZE, AugmentationConfig(flip=1), seeded(0), points, MIRROR)
    plain = random_crops(stored, SIZE, AugmentationConfig(), seeded(0), points, MIRROR)
    assert flipped.mirrored.all()
    assert torch.equal(flipped.images, plain.images.flip(-1))
    assert flipped.points is not None
    assert plain.points is not None
    expected = plain.points[:, MIRROR] * torch.tensor([-1.0, 1.0]) + torch.tensor([SIZE - 1.0, 0.0])
    torch.testing.assert_close(flipped.points, expected, atol=1e-4, rtol=0)


def test_the_seed_determines_the_batch() -> None:
    stored = random_images(8, SIDE)

    def batch(seed: int) -> Tensor:
        generator = seeded(seed)
        return change_appearance(random_crops(stored, SIZE, GEOMETRY, generator).images, APPEARANCE, generator)

    assert torch.equal(batch(5), batch(5))
    assert not torch.equal(batch(5), batch(6))


def test_one_range_leaves_the_others_alone() -> None:
    stored = random_images(8, SIDE)
    generators = seeded(7), seeded(7)
    plain = random_crops(stored, SIZE, GEOMETRY, generators[0])
    turned_off = random_crops(stored, SIZE, replace(GEOMETRY, flip=0.0), generators[1])
    assert torch.equal(plain.images[~plain.mirrored], turned_off.images[~plain.mirrored])
    assert torch.equal(generators[0].get_state(), generators[1].get_state())


@pytest.mark.parametrize("config", [GEOMETRY, WARPED])
def test_two_shares_are_the_whole_batch(config: AugmentationConfig) -> None:
    stored, points = marked_crops(8)

    def batch(share: Share) -> tuple[Tensor, Tensor]:
        generator = seeded(9)
        crops = random_crops(stored[share.slice], SIZE, config, generator, points[share.slice], MIRROR, share=share)
        assert crops.points is not None
        return change_appearance(crops.images, APPEARANCE, generator, share), crops.points

    whole, whole_points = batch(Share())
    for rank in (0, 1):
        images, part = batch(Share(rank, 2))
        torch.testing.assert_close(images, whole[rank::2], atol=1e-5, rtol=0)
        torch.testing.assert_close(part, whole_points[rank::2])


@pytest.mark.parametrize("rule", [CropRule(), CropRule(margin=1.5, lift=0.2)])
@pytest.mark.parametrize(
    "config",
    [
        AugmentationConfig(translation=0.05, scale=0.1, rotation_deg=20),
        AugmentationConfig(translation=0.04, scale=0.05, rotation_deg=30),
        AugmentationConfig(translation=0.1, scale=0.3, rotation_deg=180),
    ],
)
def test_stored_crops_have_just_enough_room(config: AugmentationConfig, rule: CropRule) -> None:
    assert stored_size(32, AugmentationConfig(), rule) == 32
    side = stored_size(32, config, rule)
    assert side % 2 == 0

    def brightest(margin: int) -> float:
        """Of many crops of a black image with a white frame, that begins ``margin`` px inside the stored crop."""
        stored = torch.full((1, 3, side + 20, side + 20), 255, dtype=torch.uint8)
        stored[..., 10 + margin : -10 - margin, 10 + margin : -10 - margin] = 0
        return random_crops(stored.expand(2000, -1, -1, -1), 32, config, seeded(2), rule=rule).images.max().item()

    # Between a border pixel's centre and its edge, bilinear sampling already takes in up to half of the next one.
    assert brightest(0) <= 0.5
    assert brightest(4) > 0.5


def test_a_warp_does_not_reach_outside_of_stored_crops() -> None:
    config = AugmentationConfig(translation=0.04, scale=0.05, rotation_deg=30, warp=0.1)
    side = stored_size(32, config, CropRule())
    along, before, after = torch.linspace(-0.5, side - 0.5, 40), torch.full((40,), -0.5), torch.full((40,), side - 0.5)
    border = torch.cat(
        [torch.stack(xy, dim=-1) for xy in ((along, before), (along, after), (before, along), (after, along))]
    )
    stored = torch.zeros(2000, 3, side, side, dtype=torch.uint8)
    shown = random_crops(stored, 32, config, seeded(2), border.expand(2000, -1, -1)).points
    assert shown is not None
    assert ((shown < 0) | (shown > 31)).any(dim=-1).all()


def test_misuse_is_named() -> None:
    with pytest.raises(ValueError, match="at least 128 x 128"):
        random_crops(random_images(1, 100), SIZE, AugmentationConfig(), seeded(0))
    with pytest.raises(ValueError, match="mirror permutation"):
        random_crops(random_images(1, SIDE), SIZE, GEOMETRY, seeded(0), torch.zeros(1, 68, 2))


def test_appearance_keeps_form_range_and_the_original() -> None:
    images = random_images(32, SIZE).float() / 255
    before = images.clone()
    assert torch.equal(change_appearance(images, AugmentationConfig(), seeded(0)), before)
    changed = change_appearance(images, APPEARANCE, seeded(0))
    assert torch.equal(images, before)
    assert changed.shape == before.shape
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert (changed != before).flatten(1).any(dim=1).all()


def test_grey_has_no_colour() -> None:
    images = random_images(4, SIZE).float() / 255
    grey = change_appearance(images, AugmentationConfig(grey=1, saturation=0.5, colour_cast=0.5), seeded(0))
    luma = 0.299 * images[:, 0] + 0.587 * images[:, 1] + 0.114 * images[:, 2]
    torch.testing.assert_close(grey, luma[:, None].expand_as(grey))


def test_brightness_contrast_and_cast_stay_in_their_ranges() -> None:
    flat = torch.full((64, 3, 8, 8), 0.5)
    bright = change_appearance(flat, AugmentationConfig(brightness=0.2), seeded(0)) - 0.5
    assert 0.15 < bright.abs().max() <= 0.2 + 1e-6
    assert bright.min() < -0.15
    cast = change_appearance(flat, AugmentationConfig(colour_cast=0.1), seeded(0)) / 0.5
    assert 1.05 < cast.max() <= 1.1 + 1e-6
    assert cast.std(dim=1).max() > 0.03
    torch.testing.assert_close(change_appearance(flat, AugmentationConfig(contrast=0.5), seeded(0)), flat)


def test_a_blur_keeps_flat_images_and_means() -> None:
    config = AugmentationConfig(blur=1)
    flat = torch.full((32, 3, SIZE, SIZE), 0.25)
    torch.testing.assert_close(change_appearance(flat, config, seeded(0)), flat, atol=1e-5, rtol=0)
    images = random_images(32, SIZE).float() / 255
    blurred = change_appearance(images, config, seeded(0))
    torch.testing.assert_close(blurred.mean(dim=(2, 3)), images.mean(dim=(2, 3)), atol=0.01, rtol=0)
    assert (blurred.std(dim=(2, 3)) < 0.9 * images.std(dim=(2, 3))).all()


def test_a_blur_moves_nothing() -> None:
    x = torch.arange(SIZE).view(1, 1, 1, SIZE).expand(32, 3, SIZE, SIZE) / SIZE
    blurred = change_appearance(x, AugmentationConfig(blur=1), seeded(0))
    torch.testing.assert_close(blurred[..., 16:-16], x[..., 16:-16], atol=2e-3, rtol=0)


def test_noise_has_the_strength_asked_for() -> None:
    flat = torch.full((64, 3, 64, 64), 0.5)
    spread = change_appearance(flat, AugmentationConfig(noise=0.05), seeded(0)).std(dim=(1, 2, 3))
    assert spread.max() <= 0.053
    assert spread.mean().item() == pytest.approx(0.025, abs=0.006)


@pytest.mark.parametrize("largest", [0.3, 0.6])
def test_occlusions_are_rectangles_of_at_most_the_size_asked_for(largest: float) -> None:
    blank = torch.full((64, 3, 100, 100), -1.0)  # out of range: whatever is covered differs
    covered = change_appearance(blank, AugmentationConfig(occlusion=1, occlusion_size=largest), seeded(0)) >= 0
    widths = covered.any(dim=2)[:, 0].sum(dim=1)
    heights = covered.any(dim=3)[:, 0].sum(dim=1)
    assert torch.equal(covered[:, 0].sum(dim=(1, 2)), widths * heights)
    longest = torch.maximum(widths, heights)
    assert 80 * largest < longest.max() <= 100 * largest + 1
    assert torch.minimum(widths, heights).min() >= 10
    half = change_appearance(blank, AugmentationConfig(occlusion=0.5), seeded(0)) >= 0
    assert 15 < half.flatten(1).any(dim=1).sum() < 49
