"""What encoder and decoder are built of: ResNet's basic block, its inverse, channel counts by width, initialisation."""

from __future__ import annotations

import math

from torch import Tensor, nn

from models.errors import FewmarkError

INPUT_SIZES = (128, 256)


def check_input_size(input_size: int) -> None:
    """Raises FewmarkError where there is no form of the networks for that side."""
    if input_size not in INPUT_SIZES:
        raise FewmarkError(f"input size {input_size} px is not supported; choose one of {INPUT_SIZES}")


def scaled(channels: int, width: float) -> int:
    """A channel count of the paper times the width, as a multiple of 8."""
    return max(8, round(channels * width / 8) * 8)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut (ResNet's basic block)."""

    FOLDABLE = (("conv1", "bn1"), ("conv2", "bn2"))

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

    FOLDABLE = (("conv1", "bn1"), ("conv2", "bn2"))

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
