"""How well images are reconstructed: RMSE and SSIM, as 3FabRec reports them (table 9)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_SIGMA, _SIDE = 1.5, 11  # Wang et al., Image Quality Assessment, 2004
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def rmse(a: Tensor, b: Tensor) -> Tensor:
    """Root mean squared difference of each pair, 8-bit units.

    Args:
        a: (B, 3, S, S) RGB in 0..1.
        b: the same.

    Returns:
        (B,), 0..255.
    """
    return 255 * (a.float() - b.float()).square().mean(dim=(-3, -2, -1)).sqrt()


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity of each pair, channel by channel with a Gaussian window; arguments as for ``rmse``.

    Returns:
        (B,), -1..1.
    """
    x, y = 255 * a.double(), 255 * b.double()
    mean_x, mean_y = _smooth(x), _smooth(y)
    var_x = _smooth(x * x) - mean_x * mean_x
    var_y = _smooth(y * y) - mean_y * mean_y
    cov = _smooth(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
    structure = (2 * cov + _C2) / (var_x + var_y + _C2)
    return (luminance * structure).mean(dim=(-3, -2, -1)).float()


def _smooth(x: Tensor) -> Tensor:
    t = torch.arange(_SIDE, dtype=x.dtype, device=x.device) - _SIDE // 2
    kernel = torch.exp(-(t**2) / (2 * _SIGMA**2))
    kernel = (kernel / kernel.sum()).expand(x.shape[1], 1, _SIDE)
    x = F.conv2d(x, kernel.unsqueeze(-1), groups=x.shape[1])
    return F.conv2d(x, kernel.unsqueeze(-2), groups=x.shape[1])
