"""The four losses of 3FabRec's stage 1 (section 3.2).

Images are (B, 3, S, S), RGB in 0..1; the reconstruction may overshoot that range. Losses on images are in 8-bit units,
so that the paper's weights (1 and 60) mean what they mean there.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

# "The constant c adds stability against small denominators. It is set to c = 255^0.01 for images with 8-bit channels".
STABILITY = 255**0.01


def face_window(side: int, border: float) -> Tensor:
    """(side, side): 1 over the face in the middle of a crop, ``border`` outside, with a soft edge. Not in the paper."""
    across = torch.linspace(-1, 1, side)
    radius = (across / 0.72).square() + (across / 0.85).square()[:, None]  # a face is taller than wide
    return border + (1 - border) * torch.sigmoid(6 * (1.1 - radius))


def reconstruction_l1(reconstruction: Tensor, images: Tensor, weights: Tensor | None = None) -> Tensor:
    """L_rec: mean absolute difference, 0..255; each pixel counts as (S, S) weights say, if there are any."""
    return _weighted_mean(255 * (reconstruction.float() - images).abs().mean(dim=(0, 1)), weights)


def contrast_and_correlation(a: Tensor, b: Tensor, window: int) -> Tensor:
    """Contrast c(a, b) times correlation s(a, b) over every k x k window (eq. 1).

    Args:
        a: (B, C, H, W), 8-bit units.
        b: the same shape.
        window: k, px.

    Returns:
        (B, C, H - k + 1, W - k + 1), -1..1; 1 where the windows agree up to their brightness.
    """
    # Each image less its mean: the variance is then no small difference of large numbers.
    a, b = (x.contiguous() - x.mean(dim=(-2, -1), keepdim=True) for x in (a, b))
    mean_a, mean_b, aa, bb, ab = (_window_means(x, window) for x in (a, b, a * a, b * b, a * b))
    variance_a = (aa - mean_a * mean_a).clamp_min(1e-6)
    variance_b = (bb - mean_b * mean_b).clamp_min(1e-6)
    covariance = ab - mean_a * mean_b
    deviations = (variance_a * variance_b).sqrt()
    contrast = (2 * deviations + STABILITY) / (variance_a + variance_b + STABILITY)
    correlation = (covariance + STABILITY / 2) / (deviations + STABILITY / 2)
    return contrast * correlation


def _window_means(x: Tensor, window: int) -> Tensor:
    """(B, C, H, W) to the means of all windows, (B, C, H - k + 1, W - k + 1).

    Two products with a banded matrix: on a CPU five times as fast as ``avg_pool2d``.
    """
    rows, columns = (_band(side, window).to(x) for side in x.shape[-2:])
    return rows @ x @ columns.mT


def _band(side: int, window: int) -> Tensor:
    """(side - k + 1, side): row i averages entries i to i + k - 1."""
    offset = torch.arange(side) - torch.arange(side - window + 1)[:, None]
    return ((offset >= 0) & (offset < window)).float() / window


def structural_loss(reconstruction: Tensor, images: Tensor, window: int, weights: Tensor | None = None) -> Tensor:
    """L_cs (eq. 2 and 3) as a quantity to minimise: 1 less the mean of contrast times correlation, 0..2.

    Args:
        weights: (S, S), how much each pixel counts, all alike if None; a window counts as its middle does.
    """
    likeness = contrast_and_correlation(255 * reconstruction.float(), 255 * images, window).mean(dim=(0, 1))
    middles = slice(window // 2, window // 2 + len(likeness))
    return 1 - _weighted_mean(likeness, None if weights is None else weights[middles, middles])


def _weighted_mean(values: Tensor, weights: Tensor | None) -> Tensor:
    return values.mean() if weights is None else (values * weights).sum() / weights.sum()


def fooling_loss(fake_logits: Tensor) -> Tensor:
    """L_enc and L_adv as encoder and decoder see them: the discriminator should take the fakes for real."""
    return F.softplus(-fake_logits.float()).mean()


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """L_enc and L_adv as a discriminator sees them (logistic loss)."""
    return F.softplus(-real_logits.float()).mean() + F.softplus(fake_logits.float()).mean()


def prior_like(z: Tensor, generator: torch.Generator) -> Tensor:
    """Samples of the prior N(0, 1), as many and on the same device as the codes."""
    return torch.randn(z.shape, generator=generator).to(z)
