"""Random changes of how crops look, as tensors on any device: colour, blur, noise, occlusion. Nothing moves.

Legend: B batch, S side of a crop.
"""

from __future__ import annotations

import torch
from torch import Tensor

from training.config import AugmentationConfig
from training.crops.random_draws import Share, within

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


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


def _change_colours(images: Tensor, config: AugmentationConfig, draws: Tensor) -> Tensor:
    """A copy in other colours: saturation or grey, cast, contrast around the mean grey, and brightness.

    Together they are one affine map of RGB for each image.
    """
    if not any((config.brightness, config.contrast, config.saturation, config.colour_cast, config.grey)):
        return images.clone()
    to_grey = draws[:, 0] < config.grey
    saturation = torch.where(to_grey, 0, 1 + within(draws[:, 1], config.saturation)).view(-1, 1, 1)
    gain = torch.where(to_grey[:, None], 1, 1 + within(draws[:, 2:5], config.colour_cast))[..., None]
    contrast = (1 + within(draws[:, 5], config.contrast)).view(-1, 1, 1)
    brightness = within(draws[:, 6], config.brightness).view(-1, 1, 1).to(images.device)
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
