"""Crops moved, resized, turned, warped and mirrored, with their points: whole batches as tensors, on any device.

Legend: B batch, C side of a stored crop, S side of a crop, K landmarks. Points are (x, y); the centre of the top-left
pixel is (0, 0).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from models.crop_rule import CropRule
from training.config import AugmentationConfig
from training.crops.random_draws import Share, within
from training.crops.random_warp import displacements, points_through, random_warp


class CropBatch(NamedTuple):
    """What ``random_crops`` returns."""

    images: Tensor  # (B, 3, S, S) float32, 0..1, contiguous
    points: Tensor | None  # (B, K, 2) float32, crop pixels
    mirrored: Tensor  # (B,) bool; labels other than points must be permuted for these


def random_crops(
    stored: Tensor,
    size: int,
    config: AugmentationConfig,
    generator: torch.Generator,
    points: Tensor | None = None,
    mirror: Tensor | None = None,
    rule: CropRule = CropRule(),
    share: Share = Share(),
) -> CropBatch:
    """Cuts a crop out of each stored one, moved, resized, turned, warped and mirrored within ``config``'s ranges.

    A stored crop shows the exact crop in its central square, the one that starts at pixel (C - S) // 2, and around it
    room for the changes. The identity config returns that square bit by bit. What lies outside repeats the border.

    Args:
        stored: (B, 3, C, C) uint8, C >= S.
        generator: on the CPU, wherever ``stored`` lies: the same crops on every device.
        points: (B, K, 2) pixels of the stored crops.
        mirror: (K,) int64, where each point comes from after a left-right flip
            (``LandmarkScheme.mirror_permutation``); needed with points if ``config.flip`` is not 0.
        rule: how the stored crops were cut. The face box, in whose sides translations are measured and around whose
            centre faces turn and grow, follows from it.
        share: which images of the whole batch ``stored`` holds.

    Raises:
        ValueError: shapes that don't fit each other, or points without ``mirror``.
    """
    count, _, side, width = stored.shape
    if side != width or side < size:
        raise ValueError(f"stored crops are {width} x {side}: squares of at least {size} x {size} are expected")
    if points is not None and mirror is None and config.flip:
        raise ValueError("points can't be flipped without the scheme's mirror permutation")
    placement = _random_placement(count, side, size, config, generator, rule, share)
    device = stored.device
    turn, shift, mirrored = (x.to(device) for x in placement)
    warp = random_warp(count, size, config.warp, generator, share).to(device) if config.warp else None
    first = (side - size) // 2
    if config.translation or config.scale or config.rotation_deg or warp is not None:
        grid = _sampling_grid(turn, shift, size, side)
        if warp is not None:
            grid = grid + displacements(warp, size) @ turn.mT.unsqueeze(1) * (2 / side)
        images = F.grid_sample(stored.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)
    else:
        central = stored[..., first : first + size, first : first + size]
        images = torch.where(mirrored.view(-1, 1, 1, 1), central.flip(-1), central).float()
    if points is not None:
        points = _points_in_crops(points, turn, shift, size)
        if warp is not None:
            points = points_through(warp, points, size)
        if mirror is not None:
            points = torch.where(mirrored.view(-1, 1, 1), points[:, mirror.to(device)], points)
    return CropBatch(images.div_(255), points, mirrored)


def stored_size(size: int, config: AugmentationConfig, rule: CropRule) -> int:
    """Side C of stored crops with just enough room for ``random_crops``: no crop within the ranges reaches outside.

    Args:
        size: S; C - S is even, so that the exact crop lies on the stored crop's own pixels.
    """
    angle = math.radians(config.rotation_deg)
    largest = 1 + config.scale
    corner = math.cos(angle) + math.sin(angle) if config.rotation_deg < 45 else math.sqrt(2)
    # |1 - s R(angle)|, by which a lifted crop's centre moves around the box's, is at most this.
    swing = config.scale + 2 * math.sin(min(angle, math.pi) / 2)
    warped = corner / 2 + math.sqrt(2) * config.warp
    reach = largest * warped + (config.translation + abs(rule.lift) * swing) / rule.margin
    return size + 2 * math.ceil(size * (reach - 0.5))


def _random_placement(
    count: int,
    side: int,
    size: int,
    config: AugmentationConfig,
    generator: torch.Generator,
    rule: CropRule,
    share: Share,
) -> tuple[Tensor, Tensor, Tensor]:
    """Where each crop lies: stored = turn @ (crop - (S - 1) / 2) + shift.

    Returns:
        ``turn`` (B, 2, 2), ``shift`` (B, 2) stored pixels, ``mirrored`` (B,); all on the CPU.
    """
    draws = share.draw(count, 5, generator)
    box_side = size / rule.margin
    dx, dy = (within(draws[:, i], config.translation) * box_side for i in (0, 1))
    scale = 1 + within(draws[:, 2], config.scale)
    angle = within(draws[:, 3], math.radians(config.rotation_deg))
    mirrored = draws[:, 4] < config.flip
    cos, sin = scale * angle.cos(), scale * angle.sin()
    # The box's centre lies ``lift`` below the crop's, and stays in place relative to the box.
    lift = rule.lift * box_side
    centre = (side - size) // 2 + (size - 1) / 2
    shift = torch.stack((centre + dx + sin * lift, centre + lift + dy - cos * lift), dim=1)
    flip = torch.where(mirrored, -1.0, 1.0)
    turn = torch.stack((cos * flip, -sin, sin * flip, cos), dim=1).view(count, 2, 2)
    return turn, shift, mirrored


def _sampling_grid(turn: Tensor, shift: Tensor, size: int, side: int) -> Tensor:
    """(B, S, S, 2) for ``grid_sample`` with align_corners=False, where pixel x lies at (2 * x + 1) / C - 1."""
    turn, shift = turn * (2 / side), (2 * shift + 1) / side - 1
    offsets = torch.arange(size, device=turn.device, dtype=turn.dtype) - (size - 1) / 2
    along_x = offsets.view(1, 1, size, 1) * turn[:, None, None, :, 0]  # (B, 1, S, 2)
    along_y = offsets.view(1, size, 1, 1) * turn[:, None, None, :, 1] + shift[:, None, None, :]  # (B, S, 1, 2)
    return along_x + along_y


def _points_in_crops(points: Tensor, turn: Tensor, shift: Tensor, size: int) -> Tensor:
    """(B, K, 2) stored pixels to crop pixels."""
    # A similarity's inverse is its transpose over the squared scale: no solver, no wait for the GPU.
    squared_scale = turn.square().sum(dim=(1, 2)).view(-1, 1, 1) / 2
    return (points.float() - shift[:, None]) @ turn / squared_scale + (size - 1) / 2
