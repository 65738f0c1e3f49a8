"""Encoders of inverted residual blocks: MobileNetV2 and what descends from it.

Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, CVPR 2018, section 3.3 and table 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from models.networks.encoders.base import STRIDES, Encoder


@dataclass(frozen=True, slots=True)
class Stage:
    """Blocks alike: the first one changes channels and halves the maps, if its stride is 2."""

    expansion: int  # of the channels within a block
    channels: int
    blocks: int
    stride: int
    kernel: int = 3


@dataclass(frozen=True, slots=True)
class Habits:
    """What differs between publishers, and has to be as it was where their weights are used."""

    uneven_padding: bool = False  # TensorFlow's, where maps are halved: more at the right and below than left and above
    norm_eps: float = 1e-5


class ConvNorm(nn.Module):
    """Convolution, batch normalisation and, but for a linear bottleneck, ReLU6."""

    FOLDABLE = (("conv", "norm"),)

    def __init__(
        self,
        before: int,
        after: int,
        kernel: int,
        habits: Habits,
        *,
        stride: int = 1,
        groups: int = 1,
        linear: bool = False,
    ) -> None:
        super().__init__()
        uneven = habits.uneven_padding and stride == 2
        total = kernel - 2
        self.padding = (total // 2, total - total // 2) * 2 if uneven else None
        padding = 0 if uneven else kernel // 2
        self.conv = nn.Conv2d(before, after, kernel, stride=stride, padding=padding, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(after, eps=habits.norm_eps)
        self.activation: nn.Module = nn.Identity() if linear else nn.ReLU6(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        if self.padding is not None:
            x = F.pad(x, self.padding)
        out: Tensor = self.activation(self.norm(self.conv(x)))
        return out


class InvertedResidual(nn.Module):
    """Widened by a 1x1 convolution, filtered a channel at a time, narrowed without an activation; plus the input."""

    def __init__(self, before: int, stage: Stage, stride: int, habits: Habits) -> None:
        super().__init__()
        within = before * stage.expansion
        self.expand: nn.Module | None = ConvNorm(before, within, 1, habits) if stage.expansion != 1 else None
        self.depthwise = ConvNorm(within, within, stage.kernel, habits, stride=stride, groups=within)
        self.project = ConvNorm(within, stage.channels, 1, habits, linear=True)
        self.adds_input = stride == 1 and before == stage.channels

    def forward(self, x: Tensor) -> Tensor:
        wide = x if self.expand is None else self.expand(x)
        out: Tensor = self.project(self.depthwise(wide))
        return x + out if self.adds_input else out


class InvertedResidualEncoder(Encoder):
    """A stem that halves the image, and stages of inverted residual blocks.

    Args:
        stages: of stride 32 in all, with the stem.
    """

    def __init__(self, stages: Sequence[Stage], *, stem: int = 32, habits: Habits = Habits()) -> None:
        super().__init__()
        self.stem = ConvNorm(3, stem, 3, habits, stride=2)
        blocks: list[nn.Module] = []
        last_at: dict[int, tuple[int, int]] = {}  # stride -> number of its last block, channels
        before, stride = stem, 2
        for stage in stages:
            for i in range(stage.blocks):
                blocks.append(InvertedResidual(before, stage, stage.stride if i == 0 else 1, habits))
                before = stage.channels
            stride *= stage.stride
            last_at[stride] = len(blocks) - 1, stage.channels
        self.blocks = nn.ModuleList(blocks)
        self._taps = frozenset(last_at[stride][0] for stride in STRIDES)
        c4, c8, c16, c32 = (last_at[stride][1] for stride in STRIDES)
        self.channels = (c4, c8, c16, c32)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        maps = []
        x = self.stem(x)
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in self._taps:
                maps.append(x)
        a, b, c, d = maps
        return a, b, c, d
