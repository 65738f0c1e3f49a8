"""Random numbers for the images of a batch, drawn alike however many processes share it.

All come from the caller's generator, and always as many of them, a warp's own aside, so that its seed determines the
batch, and a change of one range leaves what the others do alone.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Share(NamedTuple):
    """A process's part of every batch: each ``world_size``-th image, from number ``rank`` on.

    Where all shares have the same size, processes with one seed make together exactly what a single one makes.
    """

    rank: int = 0
    world_size: int = 1

    @property
    def slice(self) -> slice:
        """The part of a sequence over the whole batch."""
        return slice(self.rank, None, self.world_size)

    def draw(self, count: int, numbers: int, generator: torch.Generator) -> Tensor:
        """(count, numbers) uniform in 0..1 for the images of this share, out of those for the whole batch."""
        return torch.rand(count * self.world_size, numbers, generator=generator)[self.slice]


def within(draws: Tensor, half_range: float) -> Tensor:
    """Draws from 0..1 to -half_range..half_range."""
    return (2 * draws - 1) * half_range
