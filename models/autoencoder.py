"""The autoencoder of 3FabRec: a ResNet-18 encoder and an inverted ResNet decoder.

3FabRec, section 4.2.1: "a standard ResNet-18 as encoder with an inverted ResNet-18 (first convolution layers in each
block replaced by 4x4 deconvolution layers) as decoder [...] The encoded feature length is 99 dimensions". The 256 px
form has one more layer at each end. Module names are those of the published checkpoints, so that their mapping is a
change of prefix (``models/import_3fabrec.py``).

Legend: B batch, S input side (128 or 256), Z length of the latent code.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.errors import FewmarkError

INPUT_SIZES = (128, 256)
# Mean colour that 3FabRec subtracts from RGB in 0..1 (its published checkpoints were trained so).
CHANNEL_MEAN = (0.518, 0.418, 0.361)


def check_input_size(input_size: int) -> None:
    """Raises FewmarkError where there is no form of the networks for that side."""
    if input_size not in INPUT_SIZES:
        raise FewmarkError(f"input size {input_size} px is not supported; choose one of {INPUT_SIZES}")


class EncoderFeatures(NamedTuple):
    """The encoder's output and the maps that skip connections start from."""

    z: Tensor  # (B, Z)
    side_64: Tensor  # (B, 64, 64, 64)
    side_32: Tensor  # (B, 64, 32, 32)
    side_16: Tensor  # (B, 128, 16, 16)
    side_8: Tensor  # (B, 256, 8, 8)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut (ResNet's basic block)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False), nn.BatchNorm2d(out_channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.bn2(self.conv2(x))
        out: Tensor = self.relu(x + shortcut)
        return out


class InvertedResidualBlock(nn.Module):
    """Doubles the side: a 4x4 transposed and a 3x3 convolution around a transposed shortcut."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.ConvTranspose2d(in_channels, out_channels, 4, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.upsample = nn.Sequential(
            nn.ConvTranspose2d(in_channels, out_channels, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = self.upsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.bn2(self.conv2(x))
        out: Tensor = self.relu(x + shortcut)
        return out


def initialise(module: nn.Module) -> None:
    """He initialisation of every convolution, fan-out; transposed ones by the inputs that reach one output pixel."""
    for m in module.modules():
        if isinstance(m, nn.ConvTranspose2d):
            overlap = m.kernel_size[0] * m.kernel_size[1] / (m.stride[0] * m.stride[1])
            nn.init.normal_(m.weight, std=math.sqrt(2.0 / (overlap * m.in_channels)))
        elif isinstance(m, nn.Conv2d):
            nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")


class Encoder(nn.Module):
    """Image to latent code.

    Input (B, 3, S, S) RGB in 0..1 less ``CHANNEL_MEAN``; output (B, Z).
    """

    def __init__(self, input_size: int = 256, z_dim: int = 99) -> None:
        check_input_size(input_size)
        super().__init__()
        self.input_size = input_size
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        if input_size == 256:
            self.layer0 = nn.Sequential(ResidualBlock(64, 64), ResidualBlock(64, 64))
        self.layer1 = nn.Sequential(ResidualBlock(64, 64, 2 if input_size == 256 else 1), ResidualBlock(64, 64))
        self.layer2 = nn.Sequential(ResidualBlock(64, 128, 2), ResidualBlock(128, 128))
        self.layer3 = nn.Sequential(ResidualBlock(128, 256, 2), ResidualBlock(256, 256))
        self.layer4 = nn.Sequential(ResidualBlock(256, 512, 2), ResidualBlock(512, 512))
        self.fc = nn.Linear(512, z_dim)
        initialise(self)

    def features(self, x: Tensor) -> EncoderFeatures:
        """The latent code and the maps of side 64, 32, 16 and 8 px on the way to it."""
        stem = self.relu(self.bn1(self.conv1(x)))
        pooled = self.maxpool(stem)
        side_64 = self.layer0(pooled) if self.input_size == 256 else stem
        side_32 = self.layer1(side_64 if self.input_size == 256 else pooled)
        side_16 = self.layer2(side_32)
        side_8 = self.layer3(side_16)
        z = self.fc(self.layer4(side_8).mean(dim=(-2, -1)))
        return EncoderFeatures(z, side_64, side_32, side_16, side_8)

    def forward(self, x: Tensor) -> Tensor:
        return self.features(x).z


class Decoder(nn.Module):
    """Latent code (B, Z) to image (B, 3, S, S), RGB in about -0.5..0.6: tanh before the channel mean is added back."""

    def __init__(self, output_size: int = 256, z_dim: int = 99) -> None:
        check_input_size(output_size)
        super().__init__()
        self.output_size = output_size
        self.fc = nn.Linear(z_dim, 512)
        self.conv1 = nn.ConvTranspose2d(512, 512, 4, bias=False)  # 1x1 -> 4x4
        self.bn1 = nn.BatchNorm2d(512)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = nn.Sequential(InvertedResidualBlock(512, 256))  # -> 8x8
        self.layer2 = nn.Sequential(InvertedResidualBlock(256, 128))  # -> 16x16
        self.layer3 = nn.Sequential(InvertedResidualBlock(128, 64))  # -> 32x32
        self.layer4 = nn.Sequential(InvertedResidualBlock(64, 64))  # -> 64x64
        if output_size == 256:
            self.layer5 = nn.Sequential(InvertedResidualBlock(64, 64))  # -> 128x128
        self.lin = nn.ConvTranspose2d(64, 3, 4, stride=2, padding=1, bias=False)
        initialise(self)

    def stem(self, z: Tensor) -> Tensor:
        """(B, Z) to (B, 512, 4, 4): what comes before the first layer."""
        x = self.fc(z).unsqueeze(-1).unsqueeze(-1)
        out: Tensor = self.relu(self.bn1(self.conv1(x)))
        return out

    def forward(self, z: Tensor) -> Tensor:
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(z)))))
        if self.output_size == 256:
            x = self.layer5(x)
        return torch.tanh(self.lin(x))
