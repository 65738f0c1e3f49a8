"""Heatmap losses: (maps, points, visible) -> scalar. Each is a frozen set of its own constants, which a recipe may set.

Legend: B batch, K landmarks, h heatmap side. Maps are (B, K, h, h), as the network gives them; points are (B, K, 2) in
heatmap pixels; ``visible`` (B, K) is 1 where a landmark is labelled, or how much its label counts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from models.decoding.heatmaps import HeatmapKind, PointKind, encode_points, expected_position, spatial_softmax


@dataclass(frozen=True, slots=True)
class HeatmapLoss(ABC):
    """What it makes of the maps decides how they are read: both go into the model file."""

    name: ClassVar[str]  # in LOSSES and in recipes
    heatmap_kind: ClassVar[HeatmapKind] = "logits"
    point_kind: ClassVar[PointKind] = "peak"

    sigma: float = 1.75  # of the Gaussian that a map is taught to be, heatmap px; a sure landmark's map has it

    @abstractmethod
    def __call__(self, maps: Tensor, points: Tensor, visible: Tensor) -> Tensor:
        """The loss, a scalar in float32; 0 where nothing is visible."""


@dataclass(frozen=True, slots=True)
class HeatmapL2(HeatmapLoss):
    """3FabRec, eq. 5: squared distance between the map itself and the Gaussian; mean over the pixels."""

    name = "l2"
    heatmap_kind = "gaussian"

    def __call__(self, maps: Tensor, points: Tensor, visible: Tensor) -> Tensor:
        target = encode_points(points, maps.shape[-1], self.sigma)
        return masked_mean((maps.float() - target).square().mean(dim=(-2, -1)), visible)


@dataclass(frozen=True, slots=True)
class CrossEntropy(HeatmapLoss):
    """Cross-entropy between the softmax of the map and the Gaussian."""

    name = "cross_entropy"

    def __call__(self, maps: Tensor, points: Tensor, visible: Tensor) -> Tensor:
        return heatmap_cross_entropy(maps, points, visible, self.sigma)


@dataclass(frozen=True, slots=True)
class CrossEntropyWithCoordinates(HeatmapLoss):
    """Cross-entropy of the maps plus the weighted coordinate distance."""

    name = "cross_entropy+coordinates"

    coordinate_weight: float = 0.5

    def __call__(self, maps: Tensor, points: Tensor, visible: Tensor) -> Tensor:
        entropy = heatmap_cross_entropy(maps, points, visible, self.sigma)
        return entropy + self.coordinate_weight * coordinate_l1(maps, points, visible)


@dataclass(frozen=True, slots=True)
class Coordinates(HeatmapLoss):
    """The coordinate distance alone (soft-argmax): maps may take any form whose mean is the landmark."""

    name = "coordinates"
    point_kind = "mean"

    def __call__(self, maps: Tensor, points: Tensor, visible: Tensor) -> Tensor:
        return coordinate_l1(maps, points, visible)


LOSSES: dict[str, type[HeatmapLoss]] = {
    loss.name: loss for loss in (HeatmapL2, CrossEntropy, CrossEntropyWithCoordinates, Coordinates)
}


def masked_mean(values: Tensor, visible: Tensor) -> Tensor:
    """Mean of (B, K) values over the labelled landmarks; 0 where there is none."""
    return (values * visible).sum() / visible.sum().clamp_min(1)


def heatmap_cross_entropy(logits: Tensor, points: Tensor, visible: Tensor, sigma: float) -> Tensor:
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
