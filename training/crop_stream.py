"""Labelled faces as a stream of augmented crops that the seed alone determines."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from training.augmentation import AugmentationConfig, augmented_crop
from training.config import LandmarkRecipe
from training.datasets import FaceSample

Batch = tuple[Tensor, Tensor, Tensor]  # images (B, 3, S, S) uint8, points (B, K, 2) crop px, visible (B, K) float


class AugmentedCrops(Dataset[Batch]):
    """Item i is sample i modulo n, augmented by a generator that i seeds: any worker makes the same item."""

    def __init__(self, samples: list[FaceSample], recipe: LandmarkRecipe, augmentation: AugmentationConfig) -> None:
        self.samples, self.recipe, self.augmentation = samples, recipe, augmentation

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, item: int) -> Batch:
        sample = self.samples[item % len(self.samples)]
        rng = np.random.default_rng((self.recipe.seed, item))
        size = self.recipe.network.input_size
        crop, points, mirrored = augmented_crop(
            sample.load_image(), sample.points, sample.scheme, size, self.recipe.crop, self.augmentation, rng
        )
        visible = sample.visible[list(sample.scheme.mirror_permutation)] if mirrored else sample.visible
        image = torch.from_numpy(crop).permute(2, 0, 1)
        return image, torch.from_numpy(points), torch.from_numpy(visible.astype(np.float32))


class ShuffledStream(Sampler[int]):
    """Item numbers from ``start`` to ``stop``: every epoch a permutation of its own, drawn from the seed."""

    def __init__(self, num_samples: int, seed: int, start: int, stop: int) -> None:
        self.num_samples, self.seed, self.start, self.stop = num_samples, seed, start, stop

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[int]:
        order, current = np.empty(0, np.int64), -1
        for position in range(self.start, self.stop):
            epoch, k = divmod(position, self.num_samples)
            if epoch != current:
                order, current = np.random.default_rng((self.seed, epoch)).permutation(self.num_samples), epoch
            yield epoch * self.num_samples + int(order[k])
