"""What everybody else may know of a network: crops in, heatmaps out. A family of networks keeps to it.

Legend: B batch, K landmarks, S crop side, h heatmap side, Z length of the latent code.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from models.decoding.heatmaps import DecodedHeatmaps, HeatmapKind, PointKind
from models.decoding.shape_prior import ShapePrior, decode_face

# What landmarks and loss determine, not whoever chooses the shape of a network: recipes neither say nor may say it.
DETERMINED = ("num_landmarks", "heatmap_kind", "point_kind")
PARTS = ("head", "encoder", "decoder")  # have learning rates of their own


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """The shape of a network: everything needed to build it before its weights are loaded. A family adds its own."""

    num_landmarks: int = 0  # K; 0 in recipes alone, whose data know it
    input_size: int = 256  # S, px
    heatmap_size: int = 64  # h, px
    heatmap_kind: HeatmapKind = "logits"  # what the heatmap loss made of the maps
    point_kind: PointKind = "peak"  # where on a map the heatmap loss put the landmark


class Normalisation(nn.Module):
    """RGB in 0..1 to what an encoder is used to, and back. Computes in float32, whatever the rest of a network does.

    A network owns its normalisation, so that no caller can get it wrong.

    Args:
        mean: of each channel, RGB.
        deviation: by which each channel is divided; None leaves it as it is.
    """

    mean: Tensor
    deviation: Tensor | None

    def __init__(self, mean: Sequence[float] = (0.0, 0.0, 0.0), deviation: Sequence[float] | None = None) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        scale = None if deviation is None else torch.tensor(deviation).view(1, 3, 1, 1)
        self.register_buffer("deviation", scale, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        centred = images - self.mean
        return centred if self.deviation is None else centred / self.deviation

    def undo(self, normalised: Tensor) -> Tensor:
        """The inverse of ``forward``."""
        scaled = normalised if self.deviation is None else normalised * self.deviation
        return scaled + self.mean


class LandmarkNetwork(nn.Module, ABC):
    """Crops (B, 3, S, S), RGB in 0..1, to heatmaps (B, K, h, h) of the kind that ``config.heatmap_kind`` says.

    A family says its name, its config and its last layer, builds ``encoder``, ``decoder`` and ``head`` (or as many of
    them as it has: all parameters belong to one), and computes ``heatmaps``.
    """

    kind: ClassVar[str]  # the family's name in NETWORKS, in recipes and in model files
    config_type: ClassVar[type[NetworkConfig]]  # its arguments
    heatmap_layer: ClassVar[str]  # the layer that gives the heatmaps: in float32, where the rest is in half precision

    def __init__(self, config: NetworkConfig, normalisation: Normalisation) -> None:
        if config.num_landmarks < 1:
            raise ValueError("a network of no landmarks; a recipe's config is completed by its data's landmark scheme")
        super().__init__()
        self.config = config
        self.normalisation = normalisation

    @abstractmethod
    def heatmaps(self, normalised: Tensor) -> Tensor:
        """Heatmaps (B, K, h, h) from images (B, 3, S, S) that ``normalisation`` made."""

    def forward(self, images: Tensor) -> Tensor:
        return self.heatmaps(self.normalisation(images))

    def read(self, heatmaps: Tensor, prior: ShapePrior | None = None) -> DecodedHeatmaps:
        """Points in crop pixels (B, K, 2) and confidences (B, K), from what ``forward`` gives."""
        config = self.config
        return decode_face(
            heatmaps, config.input_size, kind=config.heatmap_kind, point_kind=config.point_kind, prior=prior
        )

    def locate(self, images: Tensor, prior: ShapePrior | None = None) -> DecodedHeatmaps:
        """Points in crop pixels (B, K, 2) and confidences (B, K), from (B, 3, S, S) RGB in 0..1."""
        return self.read(self.forward(images), prior)

    @property
    def parts(self) -> dict[str, nn.Module]:
        """Those of ``PARTS`` that it has."""
        return {name: part for name in PARTS if (part := self._modules.get(name)) is not None}

    @property
    def last_layer(self) -> nn.Module:
        """The layer that ``heatmap_layer`` names; another landmark set needs another one."""
        return self.get_submodule(self.heatmap_layer)


class ReconstructingNetwork(LandmarkNetwork):
    """A network with a latent code, from which it can show the face."""

    @abstractmethod
    def heatmaps_and_code(self, normalised: Tensor) -> tuple[Tensor, Tensor]:
        """What ``heatmaps`` returns, and the latent code (B, Z), from one pass of the encoder."""

    @abstractmethod
    def decode(self, z: Tensor) -> Tensor:
        """Latent code (B, Z) to image (B, 3, S, S), RGB in about 0..1, float32."""

    def encode(self, images: Tensor) -> Tensor:
        """(B, 3, S, S) RGB in 0..1 to the latent code (B, Z)."""
        return self.heatmaps_and_code(self.normalisation(images))[1]

    def reconstruct(self, images: Tensor) -> Tensor:
        """(B, 3, S, S) RGB in 0..1 to what the network makes of it, the same shape and range."""
        return self.decode(self.encode(images)).clamp(0, 1)
