"""Faces without labels in landmark training: the moving average of the network labels them, the network learns to
find the same points under augmentation.

Tarvainen and Valpola, Mean teachers are better role models, NeurIPS 2017, with points in place of class probabilities.
Legend: B batch, K landmarks, S crop side, C side of a stored face.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from models.face_network import FaceNetwork
from models.landmark_schemes import LandmarkScheme
from training.augmentation import AugmentationConfig
from training.batch_augmentation import change_appearance, random_crops
from training.config import LandmarkRecipe
from training.faces import load_faces
from training.seeding import generator_for


class TaughtBatch(NamedTuple):
    """Augmented crops with the teacher's labels."""

    images: Tensor  # (B, 3, S, S) float32, 0..1
    points: Tensor  # (B, K, 2) crop pixels
    weights: Tensor  # (B, K) the teacher's confidence, 0 where it is too low


class MeanTeacher:
    """Draws unlabelled faces and labels them; the seed and the step alone determine which and how augmented."""

    def __init__(self, recipe: LandmarkRecipe, scheme: LandmarkScheme) -> None:
        self.recipe = recipe
        self._mirror = torch.tensor(scheme.mirror_permutation)
        self._store = load_faces(recipe.unlabelled.roots, size=recipe.network.input_size, held_out=0.0)

    def __len__(self) -> int:
        return len(self._store.images)

    @torch.no_grad()
    def batch(self, step: int, teacher: FaceNetwork, device: torch.device, rank: int = 0) -> TaughtBatch:
        """The unlabelled part of a training step."""
        recipe = self.recipe
        settings, size = recipe.unlabelled, recipe.network.input_size
        generator = generator_for(recipe.seed, step, rank)
        chosen = torch.randint(len(self._store.images), (settings.batch_size,), generator=generator)
        stored = self._store.images[chosen]
        plain = random_crops(stored, size, AugmentationConfig(), generator, rule=recipe.crop).images
        teacher.eval()
        found = teacher.locate(plain.to(device).contiguous(memory_format=torch.channels_last))
        weights = torch.where(found.confidence >= settings.min_confidence, found.confidence, 0.0).cpu()
        points = found.points.cpu() + (stored.shape[-1] - size) // 2  # crop pixels to those of the stored face
        crops = random_crops(stored, size, recipe.augmentation, generator, points, self._mirror, recipe.crop)
        assert crops.points is not None
        mirrored = crops.mirrored.view(-1, 1)
        weights = torch.where(mirrored, weights[:, self._mirror], weights)
        images = change_appearance(crops.images, recipe.augmentation, generator)
        return TaughtBatch(images.to(device), crops.points.to(device), weights.to(device))
