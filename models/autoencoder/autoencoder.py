"""The autoencoder of 3FabRec: a ResNet-18 encoder and an inverted ResNet decoder.

3FabRec, section 4.2.1: "a standard ResNet-18 as encoder with an inverted ResNet-18 (first convolution layers in each
block replaced by 4x4 deconvolution layers) as decoder [...] The encoded feature length is 99 dimensions". The 256 px
form has one more layer at each end. Module names are those of the published checkpoints, so that their mapping is a
change of prefix (``models/surgery/import_3fabrec.py``).

``width`` multiplies every channel count: 1 is the paper's network, 0.5 costs a quarter of it. ``linear_side`` adds a
fixed linear code (``models/autoencoder/linear_code.py``): the convolutions learn only what it lacks, and long codes are
of use.

Legend: B batch, S input side (128 or 256), Z length of the latent code, w width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.autoencoder.decoder import Decoder
from models.autoencoder.encoder import CHANNEL_MEAN, Encoder
from models.autoencoder.linear_code import LinearCode
from models.errors import FewmarkError

# Shares of the encoder's code and the decoder's image beside those of a linear code, which leaves little to correct:
# at full strength the first steps of training do so much harm that the decoder falls silent for good.
_CODE_SHARE, _IMAGE_SHARE = 1 / 64, 0.1


@dataclass(frozen=True, slots=True)
class AutoencoderConfig:
    """The shape of an autoencoder."""

    input_size: int = 256  # S, px: 128 or 256
    z_dim: int = 99
    width: float = 1.0
    linear_side: int = 0  # s, px: side of the images that a linear code sees; 0, as in the paper: there is none


class Guide(NamedTuple):
    """Codes that a decoder may be given while its encoder still learns."""

    codes: Tensor  # (B, Z)
    given: Tensor  # (B,) bool: decode these instead of the encoder's
    share: float  # how large a part of the batch they are meant to be, 0..1


class Autoencoder(nn.Module):
    """Encoder and decoder together: what stage 1 of 3FabRec trains (section 3.2).

    With a linear code, the encoder corrects its codes, and the decoder adds to its images.
    """

    channel_mean: Tensor

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        spatial = config.linear_side > 0
        if config.linear_side > config.input_size:
            side = config.linear_side
            raise FewmarkError(f"a linear code of {side} px is too large for faces of {config.input_size} px")
        self.encoder = Encoder(config.input_size, config.z_dim, config.width, spatial=spatial)
        self.decoder = Decoder(config.input_size, config.z_dim, config.width, spatial=spatial)
        self.linear = LinearCode(config.linear_side, config.z_dim) if spatial else None
        self.register_buffer("channel_mean", torch.tensor(CHANNEL_MEAN).view(1, 3, 1, 1), persistent=False)

    @torch.no_grad()
    def start_linear(self, code: LinearCode) -> None:
        """Lets the autoencoder begin as a linear code: encoder and decoder add nothing to it until training moves them.

        Raises:
            ValueError: the autoencoder has none.
        """
        if self.linear is None:
            raise ValueError("this autoencoder has no linear code")
        self.linear.load_state_dict(code.state_dict())
        nn.init.zeros_(self.encoder.fc.weight)
        nn.init.zeros_(self.encoder.fc.bias)
        nn.init.zeros_(self.decoder.lin.weight)

    def encode(self, images: Tensor) -> Tensor:
        """(B, 3, S, S) RGB in 0..1 to the latent code (B, Z)."""
        z: Tensor = self.encoder(images - self.channel_mean)
        return z if self.linear is None else _CODE_SHARE * z + self.linear.encode(images)

    def decode(self, z: Tensor) -> Tensor:
        """Latent code (B, Z) to image (B, 3, S, S), RGB in about 0..1; not clamped, for the sake of gradients."""
        image: Tensor = self.decoder(z)
        if self.linear is None:
            return image + self.channel_mean
        return _IMAGE_SHARE * image + self.linear.decode(z, self.config.input_size)

    def reconstruct(self, images: Tensor) -> Tensor:
        """(B, 3, T, T) RGB in 0..1 to its reconstruction, the same shape and range; T is at least S."""
        image = self.decode(self.encode(to_side(images, self.config.input_size)))
        return to_side(image, images.shape[-1]).clamp(0, 1)

    def forward(self, images: Tensor, guide: Guide | None = None) -> tuple[Tensor, Tensor]:
        """(B, 3, S, S) RGB in 0..1 to its reconstruction, the same shape, and its latent code (B, Z).

        Args:
            guide: codes to decode in place of the encoder's; for training only.
        """
        z = self.encode(images)
        if guide is None:
            return self.decode(z), z
        return self.decode(torch.where(guide.given[:, None], guide.codes, z)), z


def to_side(images: Tensor, side: int) -> Tensor:
    """(B, C, T, T) to (B, C, side, side): means over areas where it shrinks, else bilinear."""
    if images.shape[-1] > side:
        common = math.lcm(images.shape[-1], side)
        if common > images.shape[-1]:  # as of 192 px to 128: each pixel twice, then means of three
            images = F.interpolate(images, size=(common, common), mode="nearest")
        return F.avg_pool2d(images, common // side)
    if images.shape[-1] < side:
        return F.interpolate(images, size=(side, side), mode="bilinear")
    return images
