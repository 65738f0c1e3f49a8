"""Faces without labels in landmark training: a teacher labels them, the network learns to find the same points under
augmentation.

The teacher is the moving average of the network itself (Tarvainen and Valpola, Mean teachers are better role models,
NeurIPS 2017, with points in place of class probabilities), which looks at every face and at its mirror image; or it is
another model, whose labels lie in a file.

Legend: B batch, K landmarks, S crop side, C side of a stored face.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from models.errors import FewmarkError
from models.face_network import FaceNetwork
from models.landmark_schemes import LandmarkScheme
from training.augmentation import AugmentationConfig
from training.batch_augmentation import change_appearance, random_crops
from training.config import LandmarkRecipe
from training.face_labels import load_face_labels
from training.faces import load_faces
from training.labelled_crops import mirror_points
from training.seeding import generator_for


class TaughtBatch(NamedTuple):
    """Augmented crops with the teacher's labels."""

    images: Tensor  # (B, 3, S, S) float32, 0..1
    points: Tensor  # (B, K, 2) crop pixels
    weights: Tensor  # (B, K) the teacher's confidence, 0 where it is too low


class Teacher:
    """Draws unlabelled faces and labels them; the seed and the step alone determine which and how augmented."""

    def __init__(self, recipe: LandmarkRecipe, scheme: LandmarkScheme) -> None:
        """Raises FewmarkError where faces or labels are missing or don't fit the recipe."""
        self.recipe = recipe
        self._mirror = torch.tensor(scheme.mirror_permutation)
        self._looks_in_mirror = bool(scheme.mirror_pairs)
        settings, size = recipe.unlabelled, recipe.network.input_size
        self._labelled: tuple[Tensor, Tensor] | None = None  # points (N, K, 2) crop pixels, confidence (N, K)
        if settings.labels is None:
            self._images = load_faces(settings.roots, size=size, held_out=0.0).images
            return
        labels = load_face_labels(settings.labels)
        if labels.scheme != scheme.name:
            raise FewmarkError(f"{settings.labels}: labels by {labels.scheme}, the data are of {scheme.name}")
        store = load_faces(settings.roots, size=size, held_out=0.0, names=frozenset(labels.names))
        number = {name: i for i, name in enumerate(labels.names)}
        if missing := number.keys() - set(store.names):
            raise FewmarkError(f"{settings.labels}: labels {min(missing)}, which is not among the faces")
        order = [number[name] for name in store.names]
        self._images = store.images
        self._labelled = labels.at(size)[order], labels.confidence[order]

    def __len__(self) -> int:
        return len(self._images)

    @torch.no_grad()
    def batch(self, step: int, average: FaceNetwork, device: torch.device, rank: int = 0) -> TaughtBatch:
        """The unlabelled part of a training step.

        Args:
            average: the moving average of the network, which labels the faces if no other model has.
        """
        recipe = self.recipe
        settings, size = recipe.unlabelled, recipe.network.input_size
        generator = generator_for(recipe.seed, step, rank)
        chosen = torch.randint(len(self), (settings.batch_size,), generator=generator)
        stored = self._images[chosen]
        if self._labelled is not None:
            points, confidence = (values[chosen] for values in self._labelled)
        else:
            plain = random_crops(stored, size, AugmentationConfig(), generator, rule=recipe.crop).images
            points, confidence = self._look(average, plain.to(device))
        weights = torch.where(confidence >= settings.min_confidence, confidence, 0.0)
        points = points + (stored.shape[-1] - size) // 2  # crop pixels to those of the stored face
        crops = random_crops(stored, size, recipe.augmentation, generator, points, self._mirror, recipe.crop)
        assert crops.points is not None
        weights = torch.where(crops.mirrored.view(-1, 1), weights[:, self._mirror], weights)
        images = change_appearance(crops.images, recipe.augmentation, generator)
        return TaughtBatch(images.to(device), crops.points.to(device), weights.to(device))

    def _look(self, average: FaceNetwork, images: Tensor) -> tuple[Tensor, Tensor]:
        """Points (B, K, 2) and confidences (B, K) on the CPU, of (B, 3, S, S) and their mirror images on average."""
        average.eval()
        views = torch.cat((images, images.flip(-1))) if self._looks_in_mirror else images
        found = average.locate(views.contiguous(memory_format=torch.channels_last))
        points, confidence = found.points.cpu(), found.confidence.cpu()
        if not self._looks_in_mirror:
            return points, confidence
        (points, mirrored), (confidence, of_mirrored) = points.chunk(2), confidence.chunk(2)
        back = mirror_points(mirrored, self._mirror, images.shape[-1])
        return (points + back) / 2, (confidence + of_mirrored[:, self._mirror]) / 2
