"""FaceNetwork, the family of 3FabRec and SCAF: encoder, decoder, and a landmark head through the decoder's layers.

Legend: B batch, K landmarks, S crop side, h heatmap side, Z length of the latent code.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from models.autoencoder.decoder import Decoder
from models.autoencoder.encoder import CHANNEL_MEAN, Encoder
from models.errors import FewmarkError
from models.networks.base import LandmarkNetwork, NetworkConfig, Normalisation, ReconstructingNetwork
from models.networks.interleaved.transfer_layers import LandmarkHead


@dataclass(frozen=True, slots=True)
class FaceNetworkConfig(NetworkConfig):
    """The shape of a network of 3FabRec's family."""

    input_size: int = 256  # S, px: 128 or 256
    heatmap_size: int = 128  # h, px: 64 or 128
    z_dim: int = 99
    width: float = 1.0  # multiplies the channel counts of the papers
    skip_connections: bool = False  # SCAF's
    num_itls: int = 4  # 1 to 4 (3FabRec, table 7)


class FaceNetwork(ReconstructingNetwork):
    """Encoder, decoder and landmark head of 3FabRec; with ``skip_connections`` it is SCAF.

    The landmark path never computes the RGB output: ``reconstruct`` does, on request.
    """

    kind = "interleaved"
    config_type = FaceNetworkConfig
    heatmap_layer = "head.lin"
    config: FaceNetworkConfig

    def __init__(self, config: FaceNetworkConfig) -> None:
        super().__init__(config, Normalisation(CHANNEL_MEAN))
        self.encoder = Encoder(config.input_size, config.z_dim, config.width)
        self.decoder = Decoder(config.input_size, config.z_dim, config.width)
        self.head = LandmarkHead(
            config.num_landmarks,
            config.heatmap_size,
            skip_connections=config.skip_connections,
            num_itls=config.num_itls,
            width=config.width,
        )

    def heatmaps(self, normalised: Tensor) -> Tensor:
        return self.heatmaps_and_code(normalised)[0]

    def heatmaps_and_code(self, normalised: Tensor) -> tuple[Tensor, Tensor]:
        features = self.encoder.features(normalised)
        return self.head(self.decoder, features), features.z

    def heatmaps_and_reconstruction(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What ``forward`` returns, and the reconstruction (B, 3, S, S) in about 0..1, from one pass of the encoder.

        For training: the reconstruction is not clamped, for the sake of gradients.
        """
        heatmaps, z = self.heatmaps_and_code(self.normalisation(images))
        return heatmaps, self.decode(z)

    def encode(self, images: Tensor) -> Tensor:
        z: Tensor = self.encoder(self.normalisation(images))  # without the landmarks' path
        return z

    def decode(self, z: Tensor) -> Tensor:
        return self.normalisation.undo(self.decoder(z))


def interleaved(network: LandmarkNetwork, what: str) -> FaceNetwork:
    """The network, where it is of this family.

    Args:
        what: the wish that no other family can fulfil, for the error message.

    Raises:
        FewmarkError: it is of another.
    """
    if not isinstance(network, FaceNetwork):
        raise FewmarkError(
            f"{what} is for networks of kind {FaceNetwork.kind!r}, and this one is of kind {network.kind!r}; leave it "
            "out, or choose the other kind"
        )
    return network
