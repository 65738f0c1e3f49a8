"""A linear code of faces, from which stage 1 may start (ours; the paper starts from random weights).

Whitened principal components are the best linear code of their length, and their distribution is the prior's: mean 0,
variance 1. For the first steps the decoder gets them instead of the encoder's codes, and the encoder learns to give
them: neither waits until the other knows something.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

SIDE = 32  # px: finer detail is none of a linear code's business


@dataclass(frozen=True, slots=True, eq=False)
class PrincipalComponents:
    """Mean, directions and standard deviations of small images, flattened to D = 3 * 32 * 32 values in 0..1."""

    mean: Tensor  # (D,)
    basis: Tensor  # (D, Z), orthonormal columns, by falling deviation
    deviations: Tensor  # (Z,)

    @property
    def importance(self) -> Tensor:
        """(Z,) each component's share of the variance that all of them explain."""
        return self.deviations.square() / self.deviations.square().sum()

    def to(self, device: torch.device) -> PrincipalComponents:
        """The same on another device."""
        return PrincipalComponents(self.mean.to(device), self.basis.to(device), self.deviations.to(device))

    def codes(self, images: Tensor) -> Tensor:
        """(B, 3, S, S) float in 0..1, S a multiple of 32, to whitened codes (B, Z)."""
        return (_small(images) - self.mean) @ self.basis / self.deviations


def principal_components(images: Tensor, count: int, seed: int) -> PrincipalComponents:
    """The first ``count`` components of (N, 3, S, S) images in 0..1; N must exceed ``count``."""
    small = _small(images)
    mean = small.mean(dim=0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # the factorisation starts from a random projection
        _, singular, basis = torch.pca_lowrank(small - mean, q=min(count + 10, len(small)), center=False)
    deviations = singular[:count] / max(len(small) - 1, 1) ** 0.5
    return PrincipalComponents(mean, basis[:, :count], deviations.clamp_min(1e-6))


def _small(images: Tensor) -> Tensor:
    return F.avg_pool2d(images, images.shape[-1] // SIDE).flatten(1)
