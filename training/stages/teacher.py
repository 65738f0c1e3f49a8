"""Faces without labels in landmark training: a teacher labels them, the network learns to find the same points under
augmentation.

The teacher is the moving average of the network itself (Tarvainen and Valpola, Mean teachers are better role models,
NeurIPS 2017, with points in place of class probabilities), which looks at every face and at its mirror image; or it is
another model, whose labels lie in a file. Where the average is unsure of a landmark, the others can help it: a prior
over the whole face is fitted to its own answers, time and again (models/decoding/shape_prior.py).

Legend: B batch, K landmarks, S crop side, C side of a stored face, h side of the heatmaps.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from models.decoding.heatmaps import crop_from_heatmap, heatmap_from_crop, heatmap_spread
from models.decoding.shape_prior import ShapePrior, fit_shape_prior
from models.errors import FewmarkError
from models.landmark_schemes import LandmarkScheme
from models.networks.base import LandmarkNetwork
from training.config import AugmentationConfig, LandmarkRecipe
from training.crops.labelled_crops import mirror_points
from training.crops.random_appearance import change_appearance
from training.crops.random_crops import random_crops
from training.engine.seeding import generator_for
from training.faces import load_faces
from training.faces.face_labels import load_face_labels
from training.stages.landmark_objective import TaughtBatch

_FIT_EVERY = 100  # steps
_FITTED_TOGETHER = 16  # faces
_FEWEST = 20  # faces


class _Look(NamedTuple):
    """What the average sees in a batch of faces, on the CPU."""

    points: Tensor  # (B, K, 2) heatmap pixels
    confidence: Tensor  # (B, K)
    spread: Tensor  # (B, K, 2, 2) heatmap pixels squared


class Teacher:
    """Draws unlabelled faces and labels them; the seed and the step alone determine which and how augmented."""

    def __init__(self, recipe: LandmarkRecipe, scheme: LandmarkScheme) -> None:
        """Raises FewmarkError where faces or labels are missing or don't fit the recipe."""
        self.recipe = recipe
        self._mirror = torch.tensor(scheme.mirror_permutation)
        self._looks_in_mirror = bool(scheme.mirror_pairs)
        settings, size = recipe.unlabelled, recipe.network.input_size
        self.prior: ShapePrior | None = None  # what the average has learned of how landmarks lie to each other
        self._labelled: tuple[Tensor, Tensor] | None = None  # points (N, K, 2) crop pixels, confidence (N, K)
        if 0 < settings.shape_faces < _FEWEST:
            raise FewmarkError(
                f"recipe {recipe.name}: unlabelled: shape_faces = {settings.shape_faces}: so few faces tell nothing of "
                f"others; take {_FEWEST} or more, better hundreds"
            )
        if settings.labels is None:
            self._images = load_faces(settings.roots, size=size, held_out=0.0).images
            return
        if settings.shape_faces:
            raise FewmarkError(
                f"recipe {recipe.name}: unlabelled: shape_faces is for labels by the moving average; leave it out, or "
                "leave labels out"
            )
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
    def batch(self, step: int, average: LandmarkNetwork, device: torch.device, rank: int = 0) -> TaughtBatch:
        """The unlabelled part of a training step.

        Args:
            average: the moving average of the network, which labels the faces if no other model has.
        """
        recipe = self.recipe
        settings, size = recipe.unlabelled, recipe.network.input_size
        if settings.shape_faces and (step - settings.from_step) % _FIT_EVERY == 0:
            self._fit_shape_prior(step, average, device)
        generator = generator_for(recipe.seed, step, rank)
        chosen = torch.randint(len(self), (settings.batch_size,), generator=generator)
        stored = self._images[chosen]
        if self._labelled is not None:
            points, confidence = (values[chosen] for values in self._labelled)
        else:
            found, confidence, spread = self._look(average, self._plain(stored, generator), device)
            if self.prior is not None:
                found = self.prior(found, spread)
            points = crop_from_heatmap(found, size, recipe.network.heatmap_size)
        weights = torch.where(confidence >= settings.min_confidence, confidence, 0.0)
        points = points + (stored.shape[-1] - size) // 2  # crop pixels to those of the stored face
        crops = random_crops(stored, size, recipe.augmentation, generator, points, self._mirror, recipe.crop)
        assert crops.points is not None
        weights = torch.where(crops.mirrored.view(-1, 1), weights[:, self._mirror], weights)
        images = change_appearance(crops.images, recipe.augmentation, generator)
        return TaughtBatch(images.to(device), crops.points.to(device), weights.to(device))

    def state(self) -> dict[str, Tensor]:
        """What it has learned itself, for a checkpoint."""
        return self.prior.state_dict() if self.prior else {}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Goes on with what ``state`` gave."""
        self.prior = ShapePrior(**state) if state else None

    def _fit_shape_prior(self, step: int, average: LandmarkNetwork, device: torch.device) -> None:
        generator = generator_for(self.recipe.seed, step)  # of no rank: all processes fit the same
        chosen = torch.randint(len(self), (self.recipe.unlabelled.shape_faces,), generator=generator)
        looks = [
            self._look(average, self._plain(self._images[part], generator), device)
            for part in chosen.split(_FITTED_TOGETHER)
        ]
        points, _, spread = (torch.cat(values) for values in zip(*looks, strict=True))
        mirror = self._mirror if self._looks_in_mirror else None
        self.prior = fit_shape_prior(points, spread, self.recipe.loss.sigma, mirror)

    def _plain(self, stored: Tensor, generator: torch.Generator) -> Tensor:
        """(B, 3, S, S) float32: the middle of the stored faces, unaugmented."""
        recipe = self.recipe
        return random_crops(stored, recipe.network.input_size, AugmentationConfig(), generator, rule=recipe.crop).images

    def _look(self, average: LandmarkNetwork, images: Tensor, device: torch.device) -> _Look:
        """What the average sees in (B, 3, S, S) faces and in their mirror images, on average."""
        average.eval()
        images = images.to(device)
        size, kind = images.shape[-1], average.config.heatmap_kind
        views = torch.cat((images, images.flip(-1))) if self._looks_in_mirror else images
        heatmaps = average(views.contiguous(memory_format=torch.channels_last))
        side = heatmaps.shape[-1]
        found = average.read(heatmaps)
        points = heatmap_from_crop(found.points, size, side)
        look = _Look(*(v.cpu() for v in (points, found.confidence, heatmap_spread(heatmaps, points, kind=kind))))
        if not self._looks_in_mirror:
            return look
        (points, mirrored), (confidence, of_mirrored), (spread, turned) = (values.chunk(2) for values in look)
        back = _Look(
            mirror_points(mirrored, self._mirror, side),
            of_mirrored[:, self._mirror],
            turned[:, self._mirror] * torch.tensor([[1.0, -1.0], [-1.0, 1.0]]),
        )
        return _Look(*((a + b) / 2 for a, b in zip((points, confidence, spread), back, strict=True)))
