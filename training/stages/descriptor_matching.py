"""Dense descriptors: every pixel of a face gets a vector by which the same place is found in another picture.

Learned without labels. Two views of a face are cut at random, so that where a pixel of one lies in the other is known;
its descriptor is to find it there. To make descriptors tell places of *the* face, not of this one, a pixel's descriptor
is also exchanged for what another person's face has for it (Thewlis, Albanie, Bilen and Vedaldi, Unsupervised Learning
of Landmarks by Descriptor Vector Exchange, ICCV 2019), and that has to find it. A descriptor does to its map what a
landmark's row of the last layer does to the features: it is a filter that makes a heatmap.

Legend: B faces, P places, D channels of a descriptor, h side of the maps, S crop side, C side of a stored face.
"""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.crop_rule import CropRule
from models.decoding.heatmaps import decode_heatmaps, heatmap_from_crop
from models.errors import FewmarkError
from models.networks.base import LandmarkNetwork
from training.config import AugmentationConfig
from training.crops.labelled_crops import LabelledCrops, mirrored
from training.crops.random_appearance import change_appearance
from training.crops.random_crops import random_crops
from training.losses.heatmap_losses import heatmap_cross_entropy

_BATCH = 16  # faces that are looked at together
_REACH = 0.4  # of the crop's side: places lie that near to its centre, where there is a face


class Views(NamedTuple):
    """Two views of each of B faces, and the same P places in both."""

    images: Tensor  # (2B, 3, S, S) float32, 0..1: first all first views, then all second ones
    first: Tensor  # (B, P, 2) crop pixels
    second: Tensor  # (B, P, 2) crop pixels; may lie outside


class Matches(NamedTuple):
    """Heatmap logits over the second views, (B, P, h, h) each."""

    direct: Tensor  # of the places' own descriptors
    exchanged: Tensor  # of those that another face has for them


def random_views(
    stored: Tensor,
    size: int,
    places: int,
    config: AugmentationConfig,
    generator: torch.Generator,
    rule: CropRule,
) -> Views:
    """Cuts two views of each face and draws places in its middle.

    Args:
        stored: (B, 3, C, C) uint8, with room around the crop.
        config: of both views; mirrored are both or none, for a left eye is no right one.
        generator: on the CPU.
    """
    count, side = len(stored), stored.shape[-1]
    mirrored = torch.rand(count, generator=generator) < config.flip
    stored = torch.where(mirrored.view(-1, 1, 1, 1), stored.flip(-1), stored)
    draws = torch.rand(count, places, 2, generator=generator)
    radius, angle = _REACH * size * draws[..., 0].sqrt(), 2 * math.pi * draws[..., 1]
    points = (side - 1) / 2 + torch.stack((radius * angle.cos(), radius * angle.sin()), dim=-1)
    upright = dataclasses.replace(config, flip=0.0)
    views = [random_crops(stored, size, upright, generator, points, rule=rule) for _ in range(2)]
    images = [change_appearance(view.images, config, generator) for view in views]
    first, second = (view.points for view in views)
    assert first is not None
    assert second is not None
    return Views(torch.cat(images), first, second)


def match(maps: Tensor, views: Views, temperature: float) -> Matches:
    """Looks for the places of the first views in the second ones.

    Args:
        maps: (2B, D, h, h) of ``views.images``, of any length.
        temperature: of the softmax over cosines.
    """
    size = views.images.shape[-1]
    first, second = F.normalize(maps.float(), dim=1).chunk(2)
    side = first.shape[-1]
    wanted = _descriptors_at(first, heatmap_from_crop(views.first, size, side))
    others = first.roll(1, dims=0).flatten(2)  # (B, D, h * h) of another face each
    found = torch.softmax(wanted @ others / temperature, dim=-1)  # (B, P, h * h)
    exchanged = F.normalize(found @ others.transpose(1, 2), dim=-1)
    over = second.flatten(2) / temperature
    return Matches(*((d @ over).unflatten(-1, (side, side)) for d in (wanted, exchanged)))


def matching_loss(matches: Matches, views: Views, *, sigma: float) -> tuple[Tensor, Tensor]:
    """Cross-entropy of direct and of exchanged matches against Gaussians at the true places; two scalars."""
    size, side = views.images.shape[-1], matches.direct.shape[-1]
    target = heatmap_from_crop(views.second, size, side)
    visible = inside(views).to(target.dtype)
    direct, exchanged = (heatmap_cross_entropy(m, target, visible, sigma) for m in matches)
    return direct, exchanged


def matching_error(matches: Matches, views: Views) -> tuple[Tensor, Tensor]:
    """Mean distance of direct and of exchanged matches from the true places, in per cent of the crop's side."""
    size = views.images.shape[-1]
    seen = inside(views)
    errors = [(decode_heatmaps(m, size).points - views.second).norm(dim=-1)[seen].mean() for m in matches]
    return 100 * errors[0] / size, 100 * errors[1] / size


@torch.no_grad()
def landmark_filters(descriptors: LandmarkNetwork, crops: LabelledCrops, temperature: float) -> Tensor:
    """A last layer that finds landmarks by their mean descriptors, without any training.

    A descriptor is a linear function of the features below the last layer, so that comparing it with another is a
    filter on these features (as in Qi, Brown and Lowe, Low-Shot Learning with Imprinted Weights, CVPR 2018). What is
    lost is each descriptor's own length: the mean one stands for all.

    Args:
        descriptors: on the CPU.
        crops: labelled faces; each is looked at together with its mirror image, where the scheme has one.
        temperature: of the softmax over cosines.

    Returns:
        Weights for the last layer of a network of K landmarks: the shape of the descriptors' own, K in place of D; 0
        for a landmark that is labelled in none of the faces.

    Raises:
        FewmarkError: the last layer is no convolution.
    """
    descriptors.eval()
    size, side = descriptors.config.input_size, descriptors.config.heatmap_size
    total = torch.zeros(crops.scheme.num_points, descriptors.config.num_landmarks)
    lengths = []
    for batch in crops.exact(_BATCH):
        looks = (batch, mirrored(batch, crops.scheme)) if crops.scheme.mirror_pairs else (batch,)
        for images, points, visible in looks:
            maps = descriptors(images.contiguous(memory_format=torch.channels_last))
            lengths.append(maps.norm(dim=1).mean())
            found = _descriptors_at(F.normalize(maps, dim=1), heatmap_from_crop(points, size, side))
            total += (found * visible.unsqueeze(-1)).sum(dim=0)
    last = last_convolution(descriptors)
    transposed = isinstance(last, nn.ConvTranspose2d)
    filters = last.weight.transpose(0, 1) if transposed else last.weight
    scale = temperature * float(torch.stack(lengths).mean())
    new = torch.einsum("kd,dcij->kcij", F.normalize(total, dim=-1), filters) / scale
    return new.transpose(0, 1).contiguous() if transposed else new


def last_convolution(network: LandmarkNetwork) -> nn.Conv2d | nn.ConvTranspose2d:
    """The layer that gives a network's maps.

    Raises:
        FewmarkError: it is no convolution, so that its maps are no linear function of the features below it.
    """
    last = network.last_layer
    if not isinstance(last, nn.Conv2d | nn.ConvTranspose2d):
        raise FewmarkError(f"descriptors: the maps of a network of kind {network.kind!r} come from no convolution")
    return last


def inside(views: Views) -> Tensor:
    """(B, P) bool: the place lies in both views."""
    size = views.images.shape[-1]
    both = torch.cat((views.first, views.second), dim=-1)
    return ((both >= 0) & (both <= size - 1)).all(dim=-1)


def _descriptors_at(maps: Tensor, points: Tensor) -> Tensor:
    """(B, P, D) of length 1, bilinear, from (B, D, h, h) at (B, P, 2) heatmap pixels."""
    grid = (points + 0.5) * (2 / maps.shape[-1]) - 1
    sampled = F.grid_sample(maps, grid.unsqueeze(1), mode="bilinear", padding_mode="border", align_corners=False)
    return F.normalize(sampled.squeeze(2).transpose(1, 2), dim=-1)
