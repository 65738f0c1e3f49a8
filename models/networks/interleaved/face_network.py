"""FaceNetwork: what the tracker runs. Crops in, heatmaps out; latent code and reconstruction on request.

Legend: B batch, K landmarks, S crop side, h heatmap side, Z length of the latent code.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.autoencoder.decoder import Decoder
from models.autoencoder.encoder import CHANNEL_MEAN, Encoder
from models.decoding.heatmaps import DecodedHeatmaps, HeatmapKind
from models.decoding.shape_prior import ShapePrior, decode_face
from models.networks.interleaved.transfer_layers import LandmarkHead


@dataclass(frozen=True, slots=True)
class FaceNetworkConfig:
    """The shape of a network; everything needed to build it before its weights are loaded."""

    num_landmarks: int
    input_size: int = 256  # S, px: 128 or 256
    heatmap_size: int = 128  # h, px: 64 or 128
    z_dim: int = 99
    width: float = 1.0  # multiplies the channel counts of the papers
    skip_connections: bool = False  # SCAF's
    num_itls: int = 4  # 1 to 4
    heatmap_kind: HeatmapKind = "logits"  # what the heatmap loss made of the maps


class FaceNetwork(nn.Module):
    """Encoder, decoder and landmark head of 3FabRec; with ``skip_connections`` it is SCAF.

    The landmark path never computes the RGB output: ``reconstruct`` does, on request.
    """

    channel_mean: Tensor

    def __init__(self, config: FaceNetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config.input_size, config.z_dim, config.width)
        self.decoder = Decoder(config.input_size, config.z_dim, config.width)
        self.head = LandmarkHead(
            config.num_landmarks,
            config.heatmap_size,
            skip_connections=config.skip_connections,
            num_itls=config.num_itls,
            width=config.width,
        )
        # The network owns its normalisation, so that no caller can get it wrong.
        self.register_buffer("channel_mean", torch.tensor(CHANNEL_MEAN).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Heatmaps.

        Args:
            images: (B, 3, S, S) RGB, float in 0..1.

        Returns:
            (B, K, h, h), of the kind that ``config.heatmap_kind`` says.
        """
        features = self.encoder.features(images - self.channel_mean)
        out: Tensor = self.head(self.decoder, features)
        return out

    def heatmaps_and_reconstruction(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What ``forward`` returns, and the reconstruction (B, 3, S, S) in about 0..1, from one pass of the encoder.

        For training: the reconstruction is not clamped, for the sake of gradients.
        """
        features = self.encoder.features(images - self.channel_mean)
        return self.head(self.decoder, features), self.decoder(features.z) + self.channel_mean

    def locate(self, images: Tensor, prior: ShapePrior | None = None) -> DecodedHeatmaps:
        """Points in crop pixels (B, K, 2) and confidences (B, K), from (B, 3, S, S) RGB in 0..1."""
        return decode_face(self.forward(images), self.config.input_size, kind=self.config.heatmap_kind, prior=prior)

    def encode(self, images: Tensor) -> Tensor:
        """(B, 3, S, S) RGB in 0..1 to the latent code (B, Z)."""
        z: Tensor = self.encoder(images - self.channel_mean)
        return z

    def decode(self, z: Tensor) -> Tensor:
        """Latent code (B, Z) to image (B, 3, S, S), RGB in 0..1."""
        image: Tensor = self.decoder(z)
        return (image + self.channel_mean).clamp(0, 1)

    def reconstruct(self, images: Tensor) -> Tensor:
        """(B, 3, S, S) RGB in 0..1 to what the autoencoder makes of it, the same shape and range."""
        return self.decode(self.encode(images))
