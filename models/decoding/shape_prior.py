"""What a face's landmarks tell about each other: where a heatmap is vague, the other landmarks decide.

Landmarks of faces in level crops are nearly Gaussian, and few directions hold most of what differs between faces. What
a heatmap says of a landmark is nearly Gaussian too: a mean, and how far the map is spread, which along a chin is much
and across it little. The most likely face under both has a closed form (as in a Kalman filter's update). It pays where
labels were few; a network that has seen many knows it by itself. Not in the papers.

Legend: N faces, K landmarks, R directions. All lengths are in heatmap pixels.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.decoding.heatmaps import (
    DecodedHeatmaps,
    HeatmapKind,
    PointKind,
    crop_from_heatmap,
    decode_heatmaps,
    heatmap_from_crop,
    heatmap_spread,
)

_DIRECTIONS = 24
_ITERATIONS = 12  # of conjugate gradients: within a tenth of a pixel, and unlike a solver they can be exported
_NOISE = 0.25  # variance of the most certain landmark
_SMALLEST = 0.0025  # variance in a direction in which a sample has none


class _Precision(NamedTuple):
    """Inverse covariances of points, (N, K) each."""

    xx: Tensor
    xy: Tensor
    yy: Tensor

    def times(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """The products (N, K) with vectors of these parts, (N, K); or (N, K, R) with those of (1, K, R)."""
        xx, xy, yy = self if x.dim() == 2 else (part.unsqueeze(-1) for part in self)
        return xx * x + xy * y, xy * x + yy * y


class ShapePrior(nn.Module):
    """A Gaussian over the landmarks of a face in its crop: a mean, R directions, and little in all others.

    Args:
        mean: (K, 2).
        directions: (K, 2, R), scaled so that a face is the mean and their sum weighted by numbers of precision
            ``precision``; orthogonal under the noise of an average face, so that few iterations do.
        precision: (R,).
        residual: (), variance of each coordinate about the directions.
        target_sigma: (), of the Gaussians that the heatmaps were trained to be: a certain landmark's map has it.
    """

    mean: Tensor
    directions: Tensor
    precision: Tensor
    _own_precision: Tensor
    residual: Tensor
    target_sigma: Tensor

    def __init__(
        self, mean: Tensor, directions: Tensor, precision: Tensor, residual: Tensor, target_sigma: Tensor
    ) -> None:
        super().__init__()
        for name, value in (("mean", mean), ("directions", directions), ("precision", precision)):
            self.register_buffer(name, value.float())
        self.register_buffer("_own_precision", torch.diag(self.precision), persistent=False)
        self.register_buffer("residual", residual.float())
        self.register_buffer("target_sigma", target_sigma.float())

    def forward(self, points: Tensor, spread: Tensor) -> Tensor:
        """The points that fit both the heatmaps and each other.

        Args:
            points: (N, K, 2) float32.
            spread: (N, K, 2, 2) covariance of each heatmap around its point.

        Returns:
            (N, K, 2).
        """
        precision = _precision(spread, self.target_sigma, _NOISE + self.residual)
        along_x, along_y = self.directions.unbind(dim=1)  # (K, R)
        off_x, off_y = (points - self.mean).unbind(dim=-1)  # (N, K)
        sure_x, sure_y = precision.times(along_x.unsqueeze(0), along_y.unsqueeze(0))  # (N, K, R)
        by_x, by_y = sure_x.transpose(1, 2), sure_y.transpose(1, 2)  # (N, R, K)
        matrix = self._own_precision + by_x @ along_x + by_y @ along_y
        wanted = (by_x @ off_x.unsqueeze(-1) + by_y @ off_y.unsqueeze(-1)).squeeze(-1)
        numbers = _solve(matrix, wanted)  # (N, R)
        shape_x, shape_y = numbers @ along_x.transpose(0, 1), numbers @ along_y.transpose(0, 1)
        rest_x, rest_y = precision.times(off_x - shape_x, off_y - shape_y)
        moved = torch.stack((shape_x + self.residual * rest_x, shape_y + self.residual * rest_y), dim=-1)
        return self.mean + moved


def decode_face(
    heatmaps: Tensor,
    crop_size: int,
    *,
    kind: HeatmapKind = "logits",
    point_kind: PointKind = "peak",
    prior: ShapePrior | None,
) -> DecodedHeatmaps:
    """As ``decode_heatmaps``, with the points that the prior makes of them, if there is one."""
    found = decode_heatmaps(heatmaps, crop_size, kind=kind, point_kind=point_kind)
    if prior is None:
        return found
    side = heatmaps.shape[-1]
    points = heatmap_from_crop(found.points, crop_size, side)
    points = prior(points, heatmap_spread(heatmaps, points, kind=kind))
    return DecodedHeatmaps(crop_from_heatmap(points, crop_size, side), found.confidence)


def fit_shape_prior(points: Tensor, spread: Tensor, target_sigma: float, mirror: Tensor | None) -> ShapePrior:
    """The prior under which the points of many faces, uncertain as they are, are likely.

    Args:
        points: (N, K, 2).
        spread: (N, K, 2, 2) covariance of each heatmap around its point.
        target_sigma: of the Gaussians that the heatmaps were trained to be.
        mirror: (K,) int64, ``LandmarkScheme.mirror_permutation``, with which the faces count once more as their mirror
            images, about the middle of their mean; None where the landmarks have no mirror pairs.
    """
    points, spread = points.double(), spread.double()
    sigma, size = torch.tensor(target_sigma).double(), points.shape[1] * 2
    noise = _blocks(_noise(spread, sigma, _NOISE))
    mean, covariance = points.mean(dim=0), torch.cov(points.flatten(1).T) - noise
    if mirror is not None:
        signs = torch.tensor([-1.0, 1.0]).to(points)
        turned = mean[mirror] * signs
        turned[:, 0] += 2 * mean[:, 0].mean()
        mean = (mean + turned) / 2
        as_blocks = covariance.view(len(mirror), 2, len(mirror), 2)
        other = as_blocks[mirror][:, :, mirror] * signs.view(2, 1, 1) * signs
        covariance = (covariance + other.reshape(size, size)) / 2
    values, vectors = torch.linalg.eigh(covariance)
    values, kept = values.clamp_min(_SMALLEST), min(_DIRECTIONS, size)
    residual = values[: size - kept].mean() if kept < size else values.new_tensor(_SMALLEST)
    directions = vectors[:, -kept:] * values[-kept:].sqrt()
    average = noise + residual * torch.eye(size).to(noise)
    strengths, turn = torch.linalg.eigh(directions.T @ torch.linalg.solve(average, directions))
    precision = 1 / (1 + strengths)
    directions = (directions @ turn) * precision.sqrt()
    return ShapePrior(mean, directions.view(-1, 2, kept), precision, residual, sigma)


def _noise(spread: Tensor, target_sigma: Tensor, least: Tensor | float) -> tuple[Tensor, Tensor, Tensor]:
    """Covariance (xx, xy, yy), (N, K) each, of a landmark's error: by how much its map is wider than a certain one's.

    The eigenvalues of the difference, where negative, count as 0; of two by two numbers they have a closed form.
    """
    xx, xy, yy = spread[..., 0, 0] - target_sigma**2, spread[..., 0, 1], spread[..., 1, 1] - target_sigma**2
    middle, tilt = (xx + yy) / 2, (xx - yy) / 2
    reach = (tilt**2 + xy**2).clamp_min(1e-12).sqrt()
    longer, shorter = (middle + reach).relu(), (middle - reach).relu()
    centre, share = (longer + shorter) / 2 + least, (longer - shorter) / (2 * reach)
    return centre + share * tilt, share * xy, centre - share * tilt


def _precision(spread: Tensor, target_sigma: Tensor, least: Tensor | float) -> _Precision:
    xx, xy, yy = _noise(spread, target_sigma, least)
    determinant = xx * yy - xy**2
    return _Precision(yy / determinant, -xy / determinant, xx / determinant)


def _blocks(noise: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """The mean of (N, K) covariances as one matrix (2K, 2K)."""
    xx, xy, yy = (part.mean(dim=0) for part in noise)
    rows = torch.stack((torch.stack((xx, xy), dim=-1), torch.stack((xy, yy), dim=-1)), dim=-2)
    blocks: Tensor = torch.block_diag(*rows)
    return blocks


def _solve(matrix: Tensor, wanted: Tensor) -> Tensor:
    """(N, R) x with ``matrix`` (N, R, R, positive definite) times x = ``wanted`` (N, R), by conjugate gradients."""
    solution, rest = torch.zeros_like(wanted), wanted
    direction, length = rest, (rest * rest).sum(dim=-1, keepdim=True)
    for _ in range(_ITERATIONS):
        image = (matrix @ direction.unsqueeze(-1)).squeeze(-1)
        step = length / (direction * image).sum(dim=-1, keepdim=True).clamp_min(1e-12)
        solution, rest = solution + step * direction, rest - step * image
        left = (rest * rest).sum(dim=-1, keepdim=True)
        direction = rest + left / length.clamp_min(1e-12) * direction
        length = left
    return solution
