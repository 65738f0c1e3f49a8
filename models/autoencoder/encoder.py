"""The encoder of 3FabRec: a ResNet-18 (section 4.2.1), with one more layer at its start in the 256 px form.

Legend: B batch, S input side (128 or 256), Z length of the latent code, w width.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from models.autoencoder.blocks import ResidualBlock, check_input_size, initialise, scaled

# Mean colour that 3FabRec subtracts from RGB in 0..1 (its published checkpoints were trained so).
CHANNEL_MEAN = (0.518, 0.418, 0.361)


class EncoderFeatures(NamedTuple):
    """The encoder's output and the maps that skip connections start from."""

    z: Tensor  # (B, Z)
    side_64: Tensor  # (B, 64w, 64, 64)
    side_32: Tensor  # (B, 64w, 32, 32)
    side_16: Tensor  # (B, 128w, 16, 16)
    side_8: Tensor  # (B, 256w, 8, 8)


class Encoder(nn.Module):
    """Image to latent code.

    Input (B, 3, S, S) RGB in 0..1 less ``CHANNEL_MEAN``; output (B, Z).

    Args:
        spatial: let the code see the last maps pixel by pixel instead of their means (ours): codes longer than the
            number of channels need that.
    """

    FOLDABLE = (("conv1", "bn1"),)

    def __init__(self, input_size: int = 256, z_dim: int = 99, width: float = 1.0, *, spatial: bool = False) -> None:
        check_input_size(input_size)
        super().__init__()
        self.input_size = input_size
        c64, c128, c256, c512 = (scaled(c, width) for c in (64, 128, 256, 512))
        self.conv1 = nn.Conv2d(3, c64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(c64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        if input_size == 256:
            self.layer0 = nn.Sequential(ResidualBlock(c64, c64), ResidualBlock(c64, c64))
        self.layer1 = nn.Sequential(ResidualBlock(c64, c64, 2 if input_size == 256 else 1), ResidualBlock(c64, c64))
        self.layer2 = nn.Sequential(ResidualBlock(c64, c128, 2), ResidualBlock(c128, c128))
        self.layer3 = nn.Sequential(ResidualBlock(c128, c256, 2), ResidualBlock(c256, c256))
        self.layer4 = nn.Sequential(ResidualBlock(c256, c512, 2), ResidualBlock(c512, c512))
        self.spatial = spatial
        self.fc = nn.Linear(c512 * 16 if spatial else c512, z_dim)
        initialise(self)

    def features(self, x: Tensor) -> EncoderFeatures:
        """The latent code and the maps of side 64, 32, 16 and 8 px on the way to it."""
        stem = self.relu(self.bn1(self.conv1(x)))
        pooled = self.maxpool(stem)
        side_64 = self.layer0(pooled) if self.input_size == 256 else stem
        side_32 = self.layer1(side_64 if self.input_size == 256 else pooled)
        side_16 = self.layer2(side_32)
        side_8 = self.layer3(side_16)
        side_4 = self.layer4(side_8)
        z = self.fc(side_4.flatten(1) if self.spatial else side_4.mean(dim=(-2, -1)))
        return EncoderFeatures(z, side_64, side_32, side_16, side_8)

    def forward(self, x: Tensor) -> Tensor:
        return self.features(x).z
