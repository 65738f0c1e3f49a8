"""The autoencoder of 3FabRec: a ResNet-18 encoder and an inverted ResNet decoder.

3FabRec, section 4.2.1: "a standard ResNet-18 as encoder with an inverted ResNet-18 (first convolution layers in each
block replaced by 4x4 deconvolution layers) as decoder [...] The encoded feature length is 99 dimensions". The 256 px
form has one more layer at each end. Module names are those of the published checkpoints, so that their mapping is a
change of prefix (``models/import_3fabrec.py``).

``width`` multiplies every channel count: 1 is the paper's network, 0.5 costs a quarter of it. ``linear_side`` adds a
fixed linear code (``models/linear_code.py``): the convolutions learn only what it lacks, and long codes are of use.

Legend: B batch, S input side (128 or 256), Z length of the latent code, w width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.errors import FewmarkError
from models.linear_code import LinearCode

INPUT_SIZES = (128, 256)
# Mean colour that 3FabRec subtracts from RGB in 0..1 (its published checkpoints were trained so).
CHANNEL_MEAN = (0.518, 0.418, 0.361)
# Shares of the encoder's code and the decoder's image beside those of a linear code, which leaves little to correct:
# at full strength the first steps of training do so much harm that the decoder falls silent for good.
_CODE_SHARE, _IMAGE_SHARE = 1 / 64, 0.1


def check_input_size(input_size: int) -> None:
    """Raises FewmarkError where there is no form of the networks for that side."""
    if input_size not in INPUT_SIZES:
        raise FewmarkError(f"input size {input_size} px is not supported; choose one of {INPUT_SIZES}")


def scaled(channels: int, width: float) -> int:
    """A channel count of the paper times the width, as a multiple of 8."""
    return max(8, round(channels * width / 8) * 8)


@dataclass(frozen=True, slots=True)
class AutoencoderConfig:
    """The shape of an autoencoder."""

    input_size: int = 256  # S, px: 128 or 256
    z_dim: int = 99
    width: float = 1.0
    linear_side: int = 0  # s, px: side of the images that a linear code sees; 0, as in the paper: there is none


class EncoderFeatures(NamedTuple):
    """The encoder's output and the maps that skip connections start from."""

    z: Tensor  # (B, Z)
    side_64: Tensor  # (B, 64w, 64, 64)
    side_32: Tensor  # (B, 64w, 32, 32)
    side_16: Tensor  # (B, 128w, 16, 16)
    side_8: Tensor  # (B, 256w, 8, 8)


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

    Args:
        spatial: let the code see the last maps pixel by pixel instead of their means (ours): codes longer than the
            number of channels need that.
    """

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


class Decoder(nn.Module):
    """Latent code (B, Z) to image (B, 3, S, S), RGB in about -0.5..0.6: tanh before the channel mean is added back.

    Args:
        spatial: every pixel of the first maps sees the whole code (ours), instead of as many numbers as channels.
    """

    def __init__(self, output_size: int = 256, z_dim: int = 99, width: float = 1.0, *, spatial: bool = False) -> None:
        check_input_size(output_size)
        super().__init__()
        self.output_size = output_size
        c64, c128, c256, c512 = (scaled(c, width) for c in (64, 128, 256, 512))
        self.fc = nn.Identity() if spatial else nn.Linear(z_dim, c512)
        self.conv1 = nn.ConvTranspose2d(z_dim if spatial else c512, c512, 4, bias=False)  # 1x1 -> 4x4
        self.bn1 = nn.BatchNorm2d(c512)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = nn.Sequential(InvertedResidualBlock(c512, c256))  # -> 8x8
        self.layer2 = nn.Sequential(InvertedResidualBlock(c256, c128))  # -> 16x16
        self.layer3 = nn.Sequential(InvertedResidualBlock(c128, c64))  # -> 32x32
        self.layer4 = nn.Sequential(InvertedResidualBlock(c64, c64))  # -> 64x64
        if output_size == 256:
            self.layer5 = nn.Sequential(InvertedResidualBlock(c64, c64))  # -> 128x128
        self.lin = nn.ConvTranspose2d(c64, 3, 4, stride=2, padding=1, bias=False)
        initialise(self)

    def stem(self, z: Tensor) -> Tensor:
        """(B, Z) to (B, 512w, 4, 4): what comes before the first layer."""
        x = self.fc(z).unsqueeze(-1).unsqueeze(-1)
        out: Tensor = self.relu(self.bn1(self.conv1(x)))
        return out

    def forward(self, z: Tensor) -> Tensor:
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(z)))))
        if self.output_size == 256:
            x = self.layer5(x)
        return torch.tanh(self.lin(x))


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
        """(B, 3, T, T) RGB in 0..1 to its reconstruction, the same shape and range; T is S or a multiple of it."""
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
    """(B, C, T, T) to (B, C, side, side): means of whole pixels where it shrinks, else bilinear.

    Where it shrinks, T is a multiple of ``side``.
    """
    if images.shape[-1] > side:
        return F.avg_pool2d(images, images.shape[-1] // side)
    if images.shape[-1] < side:
        return F.interpolate(images, size=(side, side), mode="bilinear")
    return images


def grow(small: Autoencoder) -> Autoencoder:
    """The 256 px form that starts with the weights of a trained 128 px form (3FabRec, section 4.2.1).

    The encoder's ``layer0`` and the decoder's ``layer5`` are new; all other tensors are copied.

    Raises:
        FewmarkError: it is no 128 px form.
    """
    config = small.config
    check_can_grow(config.input_size)
    grown = Autoencoder(replace(config, input_size=256))
    grown.load_state_dict(small.state_dict(), strict=False)
    start_as_identity(grown.encoder)
    return grown


def check_can_grow(input_size: int) -> None:
    """Raises FewmarkError where a form of that side has no larger one."""
    if input_size != 128:
        raise FewmarkError(f"only a network of 128 px can grow; this one has {input_size} px")


def start_as_identity(encoder: Encoder) -> None:
    """Lets what a 256 px encoder has more than one of 128 px pass its input on, until training moves it.

    Not in the paper. Random layers in front of trained ones would have to be learnt before those are of use again.
    """
    for block in encoder.layer0:
        assert isinstance(block, ResidualBlock)
        nn.init.zeros_(block.bn2.weight)
    halving = encoder.layer1[0]
    assert isinstance(halving, ResidualBlock)
    assert isinstance(halving.downsample, nn.Sequential)
    shortcut = halving.downsample[0]
    assert isinstance(shortcut, nn.Conv2d)
    nn.init.dirac_(shortcut.weight)
