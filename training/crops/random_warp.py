"""Smooth warps of crops: a cubic B-spline over a few control points, through which points go as well.

Legend: B batch, S side of a crop, K landmarks, n control points along a side. Points are (x, y) in crop pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from training.crops.random_draws import Share, within

_CELLS = 4  # between control points, along each side of the crop
_ROUNDS = 8  # of the fixed-point iteration that takes points back through a warp


def random_warp(count: int, size: int, most: float, generator: torch.Generator, share: Share) -> Tensor:
    """(B, 2, n, n) shifts of a warp's control points, crop pixels: a cubic B-spline makes a smooth field of them.

    ``stored = turn @ (crop + field(crop) - (S - 1) / 2) + shift`` takes the place of the similarity alone.
    """
    points = _CELLS + 3  # a cubic spline reaches one control point beyond each end
    draws = share.draw(count, 2 * points * points, generator)
    return within(draws, most * size).view(count, 2, points, points)


def displacements(warp: Tensor, size: int) -> Tensor:
    """(B, S, S, 2) crop pixels by which each pixel's source is moved."""
    weights = _spline_weights(torch.arange(size, device=warp.device, dtype=warp.dtype), size)
    return (weights @ warp @ weights.mT).permute(0, 2, 3, 1)


def points_through(warp: Tensor, points: Tensor, size: int) -> Tensor:
    """(B, K, 2) crop pixels before the warp to those after it: the places whose source they are."""
    found = points
    for _ in range(_ROUNDS):
        along_x, along_y = (_spline_weights(found[..., i], size) for i in (0, 1))
        found = points - torch.einsum("bki,bcij,bkj->bkc", along_y, warp, along_x)
    return found


def _spline_weights(positions: Tensor, size: int) -> Tensor:
    """(..., n) weights of the control points at (...) crop pixels; what lies outside moves as the border does."""
    knots = torch.arange(-1, _CELLS + 2, device=positions.device, dtype=positions.dtype)
    along = (positions * (_CELLS / (size - 1))).clamp(0, _CELLS)
    apart = (along.unsqueeze(-1) - knots).abs()
    near = 2 / 3 - apart**2 + apart**3 / 2
    far = (2 - apart).clamp_min(0) ** 3 / 6
    return torch.where(apart < 1, near, far)
