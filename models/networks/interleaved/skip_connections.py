"""Skip connections from the encoder to the inputs of the ITLs, as SCAF adds them.

SCAF, section 3.1: "the input of an ITL is the element-wise sum of the output of the previous ResNet layer of the
generator and the output of the corresponding encoder layer [...] transformed by a set of convolutions called
bottleneck block"; section 4.2: "the hierarchical, parallel, and multi-scale block" (Bulat and Tzimiropoulos, Binarized
Convolutional Landmark Localizers, ICCV 2017).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.autoencoder.blocks import initialise


def _pre_activated(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.BatchNorm2d(in_channels),
        nn.ReLU(),
        nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
    )


class BottleneckBlock(nn.Module):
    """Hierarchical, parallel and multi-scale: C/2, C/4 and C/4 channels in a cascade, joined, plus the input.

    (B, C, h, w) -> (B, C, h, w); C is divisible by 4.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch1 = _pre_activated(channels, channels // 2)
        self.branch2 = _pre_activated(channels // 2, channels // 4)
        self.branch3 = _pre_activated(channels // 4, channels // 4)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        a = self.branch1(x)
        b = self.branch2(a)
        c = self.branch3(b)
        return torch.cat((a, b, c), dim=1) + x
