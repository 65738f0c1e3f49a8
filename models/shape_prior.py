"""What a face's landmarks tell about each other: where a heatmap is vague, the other landmarks decide.

Landmarks of faces in level crops are nearly Gaussian. So is what a heatmap says of one: a mean, and how far the map is
spread, which along a chin is much and across it little. The product of both is Gaussian again, and its mean is the most
likely face (as in a Kalman filter's update). Not in the papers.

Legend: N faces, K landmarks. All lengths are in heatmap pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_NOISE = 0.25  # variance of the most certain landmark
_SMALLEST = 0.0025  # eigenvalue of the prior, where a sample has none


@dataclass(frozen=True, slots=True, eq=False)
class ShapePrior:
    """A Gaussian over the landmarks of a face in its crop."""

    mean: Tensor  # (2K,) float64: x and y of the first landmark, then of the second
    covariance: Tensor  # (2K, 2K) float64

    def most_likely(self, points: Tensor, spread: Tensor, target_sigma: float) -> Tensor:
        """The points that fit both the heatmaps and each other.

        Args:
            points: (N, K, 2).
            spread: (N, K, 2, 2) covariance of each heatmap around its point.
            target_sigma: of the Gaussians that the heatmaps were trained to be: a certain landmark's map has it.

        Returns:
            (N, K, 2), dtype and device of ``points``.
        """
        found = points.flatten(1).to(self.mean)
        noise = _noise(spread.to(self.mean), target_sigma)
        off = (found - self.mean).unsqueeze(-1)
        moved: Tensor = self.covariance @ torch.linalg.solve(self.covariance + noise, off)
        return (self.mean + moved.squeeze(-1)).to(points).view_as(points)


def fit_shape_prior(points: Tensor, spread: Tensor, target_sigma: float, mirror: Tensor | None) -> ShapePrior:
    """The prior under which the points of many faces, uncertain as they are, are likely.

    Args:
        points: (N, K, 2).
        spread: (N, K, 2, 2) covariance of each heatmap around its point.
        target_sigma: as for ``ShapePrior.most_likely``.
        mirror: (K,) int64, ``LandmarkScheme.mirror_permutation``, with which the faces count once more as their mirror
            images, about the middle of their mean; None where the landmarks have no mirror pairs.
    """
    shapes = points.flatten(1).double()
    noise = _noise(spread.double(), target_sigma).mean(dim=0)
    mean = shapes.mean(dim=0)
    covariance = torch.cov(shapes.T) - noise
    if mirror is not None:
        flip = _mirroring(mirror)
        turned = flip @ mean
        # x changes its sign in a mirror; the two means are laid over each other.
        across = (mean.view(-1, 2)[:, 0].mean() - turned.view(-1, 2)[:, 0].mean()) * torch.tensor([1.0, 0.0])
        mean = (mean + turned + across.to(mean).repeat(len(mirror))) / 2
        covariance = (covariance + flip @ covariance @ flip.T) / 2
    values, vectors = torch.linalg.eigh(covariance)
    return ShapePrior(mean, (vectors * values.clamp_min(_SMALLEST)) @ vectors.T)


def _noise(spread: Tensor, target_sigma: float) -> Tensor:
    """(N, K, 2, 2) spreads to the covariance (N, 2K, 2K) of the landmarks' errors."""
    count, landmarks = spread.shape[:2]
    unit = torch.eye(2).to(spread)
    values, vectors = torch.linalg.eigh(spread - target_sigma**2 * unit)
    excess = (vectors * values.clamp_min(0).unsqueeze(-2)) @ vectors.mT
    noise = spread.new_zeros(count, landmarks, 2, landmarks, 2)
    number = torch.arange(landmarks)
    noise[:, number, :, number, :] = (excess + _NOISE * unit).transpose(0, 1)
    return noise.view(count, 2 * landmarks, 2 * landmarks)


def _mirroring(order: Tensor) -> Tensor:
    """(2K, 2K) float64: what a mirror does to a shape about x = 0."""
    flip = torch.zeros(len(order), 2, len(order), 2, dtype=torch.float64)
    number = torch.arange(len(order))
    flip[number, 0, order, 0] = -1
    flip[number, 1, order, 1] = 1
    return flip.view(2 * len(order), 2 * len(order))
