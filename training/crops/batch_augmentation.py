"""Augmentation of whole batches as tensors, on any device: the geometry first, then the appearance.

Every random number is drawn from the caller's generator, and always as many of them, a warp's own aside, so that its
seed determines the batch, and a change of one range leaves what the others do alone. Legend: B batch, C side of a
stored crop, S side of a crop, K landmarks, n control points of a warp along a side. Points are (x, y); the centre of
the top-left pixel is (0, 0).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from models.crop_rule import CropRule
from training.config import AugmentationConfig

_WARP_CELLS = 4  # between a warp's control points, along each side of the crop
_WARP_ROUNDS = 8  # of the fixed-point iteration that takes points back through a warp

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


class Share(NamedTuple):
    """A process's part of every batch: each ``world_size``-th image, from number ``rank`` on.

    Where all shares have the same size, processes with one seed make together exactly what a single one makes.
    """

    rank: int = 0
    world_size: int = 1

    @property
    def slice(self) -> slice:
        """The part of a sequence over the whole batch."""
        return slice(self.rank, None, self.world_size)

    def draw(self, count: int, numbers: int, generator: torch.Generator) -> Tensor:
        """(count, numbers) uniform in 0..1 for the images of this share, out of those for the whole batch."""
        return torch.rand(count * self.world_size, numbers, generator=generator)[self.slice]


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
    warp = _random_warp(count, size, config.warp, generator, share).to(device) if config.warp else None
    first = (side - size) // 2
    if config.translation or config.scale or config.rotation_deg or warp is not None:
        grid = _sampling_grid(turn, shift, size, side)
        if warp is not None:
            grid = grid + _displacements(warp, size) @ turn.mT.unsqueeze(1) * (2 / side)
        images = F.grid_sample(stored.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)
    else:
        central = stored[..., first : first + size, first : first + size]
        images = torch.where(mirrored.view(-1, 1, 1, 1), central.flip(-1), central).float()
    if points is not None:
        points = _points_in_crops(points, turn, shift, size)
        if warp is not None:
            points = _points_through(warp, points, size)
        if mirror is not None:
            points = torch.where(mirrored.view(-1, 1, 1), points[:, mirror.to(device)], points)
    return CropBatch(images.div_(255), points, mirrored)


def change_appearance(
    images: Tensor, config: AugmentationConfig, generator: torch.Generator, share: Share = Share()
) -> Tensor:
    """Colour, blur or a loss of resolution, noise and occlusion, for each image on its own.

    Args:
        images: (B, 3, S, S) float32, 0..1; left as they are.
        generator: on the CPU. Noise is drawn on the images' device from a seed that it gives, so it differs from device
            to device; everything else is the same.
        share: which images of the whole batch these are.

    Returns:
        Images of the same form, 0..1; landmarks under an occlusion stay where they are.
    """
    seed = int(torch.randint(2**62, (), generator=generator))
    noise_generator = torch.Generator(images.device).manual_seed(seed)
    images = _change_colours(images, config, share.draw(len(images), 7, generator))
    _degrade(images, config, share.draw(len(images), 3, generator))
    _add_noise(images, config, share.draw(len(images), 3, generator), noise_generator)
    _occlude(images, config, share.draw(len(images), 9, generator), noise_generator)
    return images


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
    dx, dy = (_within(draws[:, i], config.translation) * box_side for i in (0, 1))
    scale = 1 + _within(draws[:, 2], config.scale)
    angle = _within(draws[:, 3], math.radians(config.rotation_deg))
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


def _random_warp(count: int, size: int, most: float, generator: torch.Generator, share: Share) -> Tensor:
    """(B, 2, n, n) shifts of a warp's control points, crop pixels: a cubic B-spline makes a smooth field of them.

    ``stored = turn @ (crop + field(crop) - (S - 1) / 2) + shift`` takes the place of the similarity alone.
    """
    points = _WARP_CELLS + 3  # a cubic spline reaches one control point beyond each end
    draws = share.draw(count, 2 * points * points, generator)
    return _within(draws, most * size).view(count, 2, points, points)


def _spline_weights(positions: Tensor, size: int) -> Tensor:
    """(..., n) weights of the control points at (...) crop pixels; what lies outside moves as the border does."""
    knots = torch.arange(-1, _WARP_CELLS + 2, device=positions.device, dtype=positions.dtype)
    along = (positions * (_WARP_CELLS / (size - 1))).clamp(0, _WARP_CELLS)
    apart = (along.unsqueeze(-1) - knots).abs()
    near = 2 / 3 - apart**2 + apart**3 / 2
    far = (2 - apart).clamp_min(0) ** 3 / 6
    return torch.where(apart < 1, near, far)


def _displacements(warp: Tensor, size: int) -> Tensor:
    """(B, S, S, 2) crop pixels by which each pixel's source is moved."""
    weights = _spline_weights(torch.arange(size, device=warp.device, dtype=warp.dtype), size)
    return (weights @ warp @ weights.mT).permute(0, 2, 3, 1)


def _points_through(warp: Tensor, points: Tensor, size: int) -> Tensor:
    """(B, K, 2) crop pixels before the warp to those after it: the places whose source they are."""
    found = points
    for _ in range(_WARP_ROUNDS):
        along_x, along_y = (_spline_weights(found[..., i], size) for i in (0, 1))
        found = points - torch.einsum("bki,bcij,bkj->bkc", along_y, warp, along_x)
    return found


def _change_colours(images: Tensor, config: AugmentationConfig, draws: Tensor) -> Tensor:
    """A copy in other colours: saturation or grey, cast, contrast around the mean grey, and brightness.

    Together they are one affine map of RGB for each image.
    """
    if not any((config.brightness, config.contrast, config.saturation, config.colour_cast, config.grey)):
        return images.clone()
    to_grey = draws[:, 0] < config.grey
    saturation = torch.where(to_grey, 0, 1 + _within(draws[:, 1], config.saturation)).view(-1, 1, 1)
    gain = torch.where(to_grey[:, None], 1, 1 + _within(draws[:, 2:5], config.colour_cast))[..., None]
    contrast = (1 + _within(draws[:, 5], config.contrast)).view(-1, 1, 1)
    brightness = _within(draws[:, 6], config.brightness).view(-1, 1, 1).to(images.device)
    luma = torch.tensor(LUMA)
    matrix = contrast * gain * (saturation * torch.eye(3) + (1 - saturation) * luma)  # (B, 3, 3)
    matrix, contrast, luma = (x.to(images.device) for x in (matrix, contrast, luma))
    flat = images.flatten(2)  # (B, 3, S * S)
    mean_grey = (flat.mean(dim=2) @ luma).view(-1, 1, 1)
    offset = mean_grey * (1 - contrast) + brightness
    return torch.baddbmm(offset.expand(-1, 3, 1), matrix, flat).clamp_(0, 1).view_as(images)


def _degrade(images: Tensor, config: AugmentationConfig, draws: Tensor) -> None:
    """A Gaussian blur, or a detour over a lower resolution, on some of the images: what webcams and codecs do.

    In place. Both are linear and separable: an (S, S) matrix for the rows and the same for the columns.
    """
    size = images.shape[-1]
    chosen = (draws[:, 0] < config.blur).nonzero().squeeze(1)
    if not len(chosen):
        return
    by_resolution, strength = draws[chosen, 1] < 0.5, draws[chosen, 2]
    sigma = 0.5 + strength * max(size / 64 - 0.5, 0)
    smaller = (size * (0.3 + 0.5 * strength)).round().clamp_min(8)
    matrices = torch.where(by_resolution.view(-1, 1, 1), _resolution_loss(size, smaller), _gaussian_blur(size, sigma))
    chosen, matrices = chosen.to(images.device), matrices.to(images.device)[:, None]
    images.index_copy_(0, chosen, matrices @ images[chosen] @ matrices.mT)


def _gaussian_blur(size: int, sigma: Tensor) -> Tensor:
    """(n, S, S) matrices of Gaussian blurs of (n,) standard deviations, pixels; the border's weights are normalised."""
    grid = torch.arange(size, dtype=torch.float32)
    weights = torch.exp(-((grid[:, None] - grid) ** 2) / (2 * sigma.view(-1, 1, 1) ** 2))
    return weights / weights.sum(dim=2, keepdim=True)


def _resolution_loss(size: int, smaller: Tensor) -> Tensor:
    """(n, S, S) matrices that shrink S pixels to each of the (n,) sizes by area and enlarge them again bilinearly."""
    grid = torch.arange(size, dtype=torch.float32)
    small = smaller.view(-1, 1, 1)
    step = size / small
    # Row j of the small image averages the pixels' share of j * step .. (j + 1) * step.
    start = grid.view(1, -1, 1) * step
    down = (torch.minimum(grid + 1, start + step) - torch.maximum(grid, start)).clamp_min(0) / step
    # Half-pixel rule; rows beyond the small image are out of reach of every position.
    position = ((grid.view(1, -1, 1) + 0.5) / step - 0.5).clamp_min(0).minimum(small - 1)
    up = (1 - (position - grid).abs()).clamp_min(0)
    return up @ down


def _add_noise(images: Tensor, config: AugmentationConfig, draws: Tensor, noise_generator: torch.Generator) -> None:
    """Gaussian pixel noise of a strength that each image draws, in place."""
    if not config.noise:
        return
    _, channels, size, _ = images.shape
    strength = (draws[:, 0] * config.noise).view(-1, 1, 1, 1).to(images.device)
    x, y = (draws[:, 1:] * (size + 1)).long().to(images.device).unbind(dim=1)
    # Drawing noise costs more than all else: every image takes a window of its own out of one tile.
    tile = torch.randn(channels, 2 * size, 2 * size, generator=noise_generator, device=images.device)
    windows = tile.unfold(1, size, 1).unfold(2, size, 1)[:, y, x].transpose(0, 1)
    images.addcmul_(windows, strength).clamp_(0, 1)


def _occlude(images: Tensor, config: AugmentationConfig, draws: Tensor, noise_generator: torch.Generator) -> None:
    """Covers a rectangle of some of the images with one colour or with noise, in place."""
    _, channels, size, _ = images.shape
    chosen = (draws[:, 0] < config.occlusion).nonzero().squeeze(1)
    if not len(chosen):
        return
    draws = draws[chosen]
    extent = ((0.1 + draws[:, 1:3] * (config.occlusion_size - 0.1)) * size).floor().clamp(0, size - 1) + 1
    start = (draws[:, 3:5] * (size - extent + 1)).floor()
    grid = torch.arange(size)
    inside = (grid >= start[..., None]) & (grid < (start + extent)[..., None])  # (n, 2, S): columns, rows
    rectangle = (inside[:, 1, :, None] & inside[:, 0, None, :])[:, None].to(images.device)
    flat = (draws[:, 5] < 0.5).view(-1, 1, 1, 1).to(images.device)
    colour = draws[:, 6:9].view(-1, channels, 1, 1).to(images.device)
    noise = torch.rand(channels, size, size, generator=noise_generator, device=images.device)
    chosen = chosen.to(images.device)
    images.index_copy_(0, chosen, torch.where(rectangle, torch.where(flat, colour, noise), images[chosen]))


def _within(draws: Tensor, half_range: float) -> Tensor:
    """Draws from 0..1 to -half_range..half_range."""
    return (2 * draws - 1) * half_range
