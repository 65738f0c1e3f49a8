"""The decoder of 3FabRec: an inverted ResNet-18 (section 4.2.1), with one more layer at its end in the 256 px form.

Legend: B batch, S output side (128 or 256), Z length of the latent code, w width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.autoencoder.blocks import InvertedResidualBlock, check_input_size, initialise, scaled


class Decoder(nn.Module):
    """Latent code (B, Z) to image (B, 3, S, S), RGB in about -0.5..0.6: tanh before the channel mean is added back.

    Args:
        spatial: every pixel of the first maps sees the whole code (ours), instead of as many numbers as channels.
    """

    FOLDABLE = (("conv1", "bn1"),)

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
