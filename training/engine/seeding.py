"""What a few whole numbers determine, such as seed, step and process: random numbers, and the order of faces."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor


def generator_for(*numbers: int) -> torch.Generator:
    """A generator on the CPU; different numbers give independent streams."""
    state = np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state))


def face_numbers(faces: int, batch: int, seed: int, steps: range) -> Iterator[Tensor]:
    """The numbers of the faces, (batch,) int64, 0 <= number < faces, of each of these steps.

    Every epoch shows every face once, in an order of its own. A run can be entered at any step.
    """

    @functools.lru_cache(maxsize=2)  # a batch may reach from one epoch into the next
    def order(epoch: int) -> np.ndarray:
        return np.random.default_rng((seed, epoch)).permutation(faces)

    for step in steps:
        places = (divmod(place, faces) for place in range(step * batch, (step + 1) * batch))
        yield torch.tensor([int(order(epoch)[place]) for epoch, place in places])
