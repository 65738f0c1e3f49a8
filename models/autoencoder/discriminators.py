"""The discriminators of 3FabRec's stage 1; only training needs them.

3FabRec, section 3.2, takes both from Browatzki and Wallraven, Robust Discrimination and Generation of Faces using
Compact, Disentangled Embeddings, ICCV-W 2019: D_z tells latent codes from samples of the prior, D_x reconstructions
from photos. Spectral normalisation (Miyato et al., 2018) is ours: it keeps D_x from running away with small batches.

Legend: B batch, S image side, Z length of the latent code, w width.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from models.autoencoder.blocks import check_input_size, scaled

HIDDEN_UNITS = 1000  # of D_z


class CodeDiscriminator(nn.Module):
    """D_z: latent code (B, Z) to a logit (B,), positive for a sample of the prior N(0, 1)."""

    def __init__(self, z_dim: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(z_dim, HIDDEN_UNITS),
            nn.LeakyReLU(0.2),
            nn.Linear(HIDDEN_UNITS, HIDDEN_UNITS),
            nn.LeakyReLU(0.2),
            nn.Linear(HIDDEN_UNITS, 1),
        )

    def forward(self, z: Tensor) -> Tensor:
        out: Tensor = self.layers(z).squeeze(-1)
        return out


class ImageDiscriminator(nn.Module):
    """D_x: image (B, 3, S, S), RGB in 0..1 less its mean colour, to a logit (B,), positive for a photo.

    4x4 convolutions with stride 2 down to 4x4 pixels (the layout of DCGAN, without batch normalisation).
    """

    def __init__(self, input_size: int, width: float = 1.0) -> None:
        check_input_size(input_size)
        super().__init__()
        side, channels, previous = input_size // 2, 64, 3
        layers: list[nn.Module] = []
        while side >= 4:
            out = scaled(min(channels, 512), width)
            layers += [spectral_norm(nn.Conv2d(previous, out, 4, stride=2, padding=1)), nn.LeakyReLU(0.2)]
            side, channels, previous = side // 2, channels * 2, out
        layers.append(spectral_norm(nn.Conv2d(previous, 1, 4)))
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.layers(images).flatten()
        return out
