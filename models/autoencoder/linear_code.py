"""A linear code of faces: whitened principal components of small images. Ours; the paper has none.

It is the best linear code of its length, where errors count as much as each pixel's emphasis says, and its distribution
is the prior's of 3FabRec: mean 0, variance 1.

Legend: B batch, S image side, s side of the small images (``side``), D = 3 s s, Z length of the code.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LinearCode(nn.Module):
    """Mean, directions and standard deviations of small images. They are found, not trained: all are buffers."""

    mean: Tensor  # (D,), 0..1
    emphasis: Tensor  # (D,), above 0
    basis: Tensor  # (D, Z), orthonormal columns, by falling deviation
    deviations: Tensor  # (Z,)

    def __init__(self, side: int, z_dim: int) -> None:
        super().__init__()
        self.side = side
        self.register_buffer("mean", torch.zeros(3 * side * side))
        self.register_buffer("emphasis", torch.ones(3 * side * side))
        self.register_buffer("basis", torch.zeros(3 * side * side, z_dim))
        self.register_buffer("deviations", torch.ones(z_dim))

    @property
    def importance(self) -> Tensor:
        """(Z,) each component's share of the variance that all of them explain."""
        return self.deviations.square() / self.deviations.square().sum()

    def encode(self, images: Tensor) -> Tensor:
        """(B, 3, S, S) in 0..1, S at least ``side``, to codes (B, Z)."""
        return (self.small(images) - self.mean) * self.emphasis @ self.basis / self.deviations

    def decode(self, z: Tensor, size: int) -> Tensor:
        """Codes (B, Z) to soft images (B, 3, size, size), in about 0..1."""
        small = (z * self.deviations) @ self.basis.T / self.emphasis + self.mean
        return F.interpolate(small.unflatten(1, (3, self.side, self.side)), size=(size, size), mode="bilinear")

    def small(self, images: Tensor) -> Tensor:
        """(B, 3, S, S) to (B, D): means of whole pixels, as many as go into a small one, then between those."""
        means = F.avg_pool2d(images, images.shape[-1] // self.side)
        return F.interpolate(means, size=(self.side, self.side), mode="bilinear").flatten(1)
