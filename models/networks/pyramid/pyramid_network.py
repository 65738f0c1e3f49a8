"""PyramidNetwork: any encoder of ``ENCODERS``, and a thin decoder that takes in its maps from coarse to fine.

Lin et al., Feature Pyramid Networks for Object Detection, CVPR 2017, section 3: 1x1 lateral connections, added to the
coarser maps doubled. In the terms of the papers: the laterals are SCAF's skip connections (section 3.1) with a 1x1
convolution as bottleneck block, and the 3x3 convolutions on the sums are interleaved transfer layers (3FabRec, section
3.3.1) in a decoder that has nothing else to do.

Legend: B batch, S crop side, h heatmap side.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from models.errors import FewmarkError
from models.networks.base import LandmarkNetwork, NetworkConfig
from models.networks.encoders import ENCODERS, STRIDES
from models.networks.encoders.base import SMALLEST_STEP


@dataclass(frozen=True, slots=True)
class PyramidConfig(NetworkConfig):
    """The shape of a pyramid network."""

    input_size: int = 192  # S, px: a multiple of 32
    heatmap_size: int = 48  # h, px: a quarter or half of S
    encoder: str = "mobilenet_v2"  # a name of ENCODERS
    # Channels of the decoder's maps at strides 4, 8 and 16; where h is half of S, those at stride 2 are half the first.
    decoder_channels: tuple[int, int, int] = (32, 48, 64)

    def __post_init__(self) -> None:
        object.__setattr__(self, "decoder_channels", tuple(self.decoder_channels))  # a list in a file's header


def _conv_norm_relu(before: int, after: int, kernel: int) -> nn.Sequential:
    convolution = nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(convolution, nn.BatchNorm2d(after), nn.ReLU(inplace=True))


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class PyramidDecoder(nn.Module):
    """Maps at strides 4 to 32 to one of as many channels as the first of ``channels``, or half of them at stride 2."""

    def __init__(self, encoder: tuple[int, int, int, int], channels: tuple[int, int, int], *, doubles: bool) -> None:
        super().__init__()
        coarse = channels[-1]
        self.coarsest = _conv_norm_relu(encoder[-1], coarse, 1)
        before = (*channels[1:], coarse)  # what comes from the next coarser map
        self.narrow = nn.ModuleList(
            nn.Conv2d(b, c, 1, bias=False) if b != c else nn.Identity() for b, c in zip(before, channels, strict=True)
        )
        self.lateral = nn.ModuleList(nn.Conv2d(e, c, 1) for e, c in zip(encoder[:-1], channels, strict=True))
        self.fuse = nn.ModuleList(_conv_norm_relu(c, c, 3) for c in channels)
        self.channels = channels[0] // 2 if doubles else channels[0]
        self.finest = _conv_norm_relu(channels[0], self.channels, 3) if doubles else None

    def forward(self, maps: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
        x: Tensor = self.coarsest(maps[-1])
        for i in reversed(range(len(self.fuse))):
            # Narrowed before it is doubled: a quarter of the cost, and the same, as both are linear.
            x = self.fuse[i](_doubled(self.narrow[i](x)) + self.lateral[i](maps[i]))
        if self.finest is not None:
            x = self.finest(_doubled(x))
        return x


class PyramidNetwork(LandmarkNetwork):
    """An encoder, its thin decoder, and a 1x1 convolution to one heatmap a landmark."""

    kind = "pyramid"
    config_type = PyramidConfig
    heatmap_layer = "head"
    config: PyramidConfig

    def __init__(self, config: PyramidConfig) -> None:
        if config.encoder not in ENCODERS:
            raise FewmarkError(f"encoder {config.encoder!r} is unknown; choose one of {', '.join(ENCODERS)}")
        side, finer = config.input_size, config.heatmap_size * 2 == config.input_size
        if side % SMALLEST_STEP or not (finer or config.heatmap_size * STRIDES[0] == side):
            raise FewmarkError(
                f"crops of {side} px with heatmaps of {config.heatmap_size} px are not possible here; take a multiple "
                f"of {SMALLEST_STEP} px, and heatmaps of a quarter or half of it"
            )
        spec = ENCODERS[config.encoder]
        super().__init__(config, spec.normalisation())
        self.encoder = spec.build()
        self.decoder = PyramidDecoder(self.encoder.channels, config.decoder_channels, doubles=finer)
        self.head = nn.Conv2d(self.decoder.channels, config.num_landmarks, 1, bias=False)
        nn.init.normal_(self.head.weight, std=1e-3)  # flat maps at first, as in ``LandmarkHead``

    def heatmaps(self, normalised: Tensor) -> Tensor:
        maps: Tensor = self.head(self.decoder(self.encoder(normalised)))
        return maps
