"""Losses: (prediction, target, visible) -> scalar.

Legend: B batch, K landmarks, h heatmap side. Predictions are heatmap logits (B, K, h, h); targets are points (B, K, 2)
in heatmap pixels; ``visible`` (B, K) is 1 where a landmark is labelled.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from models.decoding.heatmaps import encode_points, expected_position, spatial_softmax

HeatmapLoss = Callable[[Tensor, Tensor, Tensor], Tensor]


def masked_mean(values: Tensor, visible: Tensor) -> Tensor:
    """Mean of (B, K) values over the labelled landmarks; 0 where there is none."""
    return (values * visible).sum() / visible.sum().clamp_min(1)


def heatmap_l2(logits: Tensor, points: Tensor, visible: Tensor, *, sigma: float) -> Tensor:
    """3FabRec, eq. 5: squared distance between the map itself and the Gaussian; mean over the pixels."""
    target = encode_points(points, logits.shape[-1], sigma)
    return masked_mean((logits.float() - target).square().mean(dim=(-2, -1)), visible)


def heatmap_cross_entropy(logits: Tensor, points: Tensor, visible: Tensor, *, sigma: float) -> Tensor:
    """Cross-entropy between the softmax of the map and the Gaussian, normalised to a distribution.

    A landmark whose Gaussian falls outside the map altogether is left out.
    """
    target = encode_points(points, logits.shape[-1], sigma).flatten(-2)
    mass = target.sum(dim=-1)
    inside = (mass > 1e-3).to(mass.dtype)
    log_probability = F.log_softmax(logits.float().flatten(-2), dim=-1)
    values = -(target * log_probability).sum(dim=-1) / mass.clamp_min(1e-3)
    return masked_mean(values, visible * inside)


def coordinate_l1(logits: Tensor, points: Tensor, visible: Tensor) -> Tensor:
    """Distance, heatmap pixels, between the expected position and the point: the error of what is decoded.

    Nibali et al., Numerical Coordinate Regression with Convolutional Neural Networks, 2018.
    """
    position = expected_position(spatial_softmax(logits))
    return masked_mean((position - points).square().sum(dim=-1).clamp_min(1e-8).sqrt(), visible)


def cross_entropy_with_coordinates(
    logits: Tensor, points: Tensor, visible: Tensor, *, sigma: float, coordinate_weight: float
) -> Tensor:
    """Cross-entropy of the maps plus the weighted coordinate distance."""
    entropy = heatmap_cross_entropy(logits, points, visible, sigma=sigma)
    return entropy + coordinate_weight * coordinate_l1(logits, points, visible)


def build_heatmap_loss(name: str, *, sigma: float, coordinate_weight: float) -> HeatmapLoss:
    """A loss of ``LOSSES`` with its constants bound."""
    constants = {"sigma": sigma}
    if name == "cross_entropy+coordinates":
        constants["coordinate_weight"] = coordinate_weight
    return partial(LOSSES[name], **constants)


LOSSES: dict[str, Callable[..., torch.Tensor]] = {
    "l2": heatmap_l2,
    "cross_entropy": heatmap_cross_entropy,
    "cross_entropy+coordinates": cross_entropy_with_coordinates,
}
