"""What landmark training minimises: the heatmap loss on labelled faces, and what a recipe adds to it."""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor

from models.decoding.heatmaps import heatmap_from_crop
from models.networks.base import LandmarkNetwork
from models.networks.interleaved.face_network import FaceNetwork
from training.config import AutoencoderLossConfig, LandmarkRecipe
from training.losses.autoencoder_losses import reconstruction_l1, structural_loss


class Targets(NamedTuple):
    """Labels of a batch."""

    points: Tensor  # (B, K, 2) crop pixels
    visible: Tensor  # (B, K) float, 1 where labelled


class TaughtBatch(NamedTuple):
    """Augmented crops with the teacher's labels."""

    images: Tensor  # (B, 3, S, S) float32, 0..1
    points: Tensor  # (B, K, 2) crop pixels
    weights: Tensor  # (B, K) the teacher's confidence, 0 where it is too low


class LandmarkObjective:
    """Heatmap loss, plus the loss on a teacher's labels, plus the reconstruction, each by its weight in the recipe."""

    def __init__(self, recipe: LandmarkRecipe) -> None:
        self.recipe = recipe
        self._sizes = recipe.network.input_size, recipe.network.heatmap_size

    def __call__(
        self, network: LandmarkNetwork, images: Tensor, labelled: Targets, unlabelled: TaughtBatch | None = None
    ) -> Tensor:
        """The loss of one step, a scalar.

        Args:
            network: one of kind "interleaved" where the recipe has a ``reconstruction_weight``.
            images: (B, 3, S, S) float32, 0..1, of the labelled faces.
        """
        count = len(images)
        if unlabelled is not None:
            # One pass over both: batch normalisation sees them together.
            images = torch.cat((images, unlabelled.images)).contiguous(memory_format=torch.channels_last)
        reconstruction_weight = self.recipe.reconstruction_weight
        if reconstruction_weight > 0:
            heatmaps, reconstruction = cast(FaceNetwork, network).heatmaps_and_reconstruction(images)
        else:
            heatmaps, reconstruction = network(images), None
        loss = self._on_points(heatmaps[:count], labelled.points, labelled.visible)
        if unlabelled is not None:
            taught = self._on_points(heatmaps[count:], unlabelled.points, unlabelled.weights)
            loss = loss + self.recipe.unlabelled.weight * taught
        if reconstruction is not None:
            weights = AutoencoderLossConfig()
            likeness = weights.reconstruction * reconstruction_l1(reconstruction, images)
            likeness = likeness + weights.structural * structural_loss(reconstruction, images, weights.window)
            loss = loss + reconstruction_weight * likeness
        return loss

    def _on_points(self, heatmaps: Tensor, points: Tensor, weights: Tensor) -> Tensor:
        return self.recipe.loss(heatmaps, heatmap_from_crop(points, *self._sizes), weights)
