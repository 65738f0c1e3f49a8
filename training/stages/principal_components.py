"""The linear code of given faces (``models/autoencoder/linear_code.py``), from which stage 1 may start (ours).

For the first steps the decoder gets its codes instead of the encoder's, and the encoder learns to give them: neither
waits until the other knows something. Or it stays in the autoencoder, whose convolutions then learn what it lacks.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.autoencoder.linear_code import LinearCode

SIDE = 32  # px: finer detail is none of a linear code's business


def principal_components(
    images: Tensor, count: int, seed: int, side: int = SIDE, emphasis: Tensor | None = None
) -> LinearCode:
    """The first ``count`` components of images.

    Args:
        images: (N, 3, S, S) in 0..1; N must exceed ``count``.
        side: px, of the small images that they describe.
        emphasis: (side, side), how much an error there counts; everywhere alike if it is None.
    """
    code = LinearCode(side, count)
    weights = code.emphasis if emphasis is None else emphasis.expand(3, side, side).flatten()
    small = code.small(images)
    mean = small.mean(dim=0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # the factorisation starts from a random projection
        _, singular, basis = torch.pca_lowrank((small - mean) * weights, q=min(count + 10, len(small)), center=False)
    deviations = singular[:count] / max(len(small) - 1, 1) ** 0.5
    found = {"mean": mean, "emphasis": weights, "basis": basis[:, :count], "deviations": deviations.clamp_min(1e-6)}
    code.load_state_dict(found)
    return code
