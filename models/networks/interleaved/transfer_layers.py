"""Interleaved transfer layers (ITL): the landmark head that runs through the decoder's own layers.

3FabRec, section 3.3.1 and 4.2.2: 3x3 convolutions between the inverted ResNet layers, each with as many output
channels as the layer before it; the last layer maps to one heatmap a landmark, and the decoder's last layer is skipped.
Four ITLs and the last layer have 0.88 M parameters for 68 landmarks. No bias anywhere.
"""

from __future__ import annotations

from torch import Tensor, nn

from models.autoencoder.blocks import initialise, scaled
from models.autoencoder.decoder import Decoder
from models.autoencoder.encoder import EncoderFeatures
from models.errors import FewmarkError
from models.networks.interleaved.skip_connections import BottleneckBlock

ITL_CHANNELS = (256, 128, 64, 64)  # after decoder layers 1 to 4, at width 1
HEATMAP_SIZES = (64, 128)


class LandmarkHead(nn.Module):
    """Decoder activations to heatmap logits (B, K, h, h), h = 64 or 128.

    With h = 128 the last layer is the published 4x4 transposed convolution. With h = 64 it is a 3x3 convolution that
    keeps the side of decoder layer 4: the form for 128 px crops, where a finer map costs more than it gains.

    Args:
        num_itls: 4 in the paper; with fewer, the first layers have none (3FabRec, table 7).
    """

    def __init__(
        self,
        num_landmarks: int,
        heatmap_size: int = 128,
        *,
        skip_connections: bool = False,
        num_itls: int = 4,
        width: float = 1.0,
    ) -> None:
        if not 1 <= num_itls <= len(ITL_CHANNELS):
            raise FewmarkError(f"{num_itls} ITLs are not possible; choose 1 to {len(ITL_CHANNELS)}")
        if heatmap_size not in HEATMAP_SIZES:
            raise FewmarkError(f"heatmap size {heatmap_size} is not supported; choose one of {HEATMAP_SIZES}")
        super().__init__()
        channels = tuple(scaled(c, width) for c in ITL_CHANNELS)
        self.t1, self.t2, self.t3, self.t4 = (
            nn.Conv2d(c, c, 3, padding=1, bias=False) if i >= len(channels) - num_itls else nn.Identity()
            for i, c in enumerate(channels)
        )
        self.lin: nn.Module
        if heatmap_size == 128:
            self.lin = nn.ConvTranspose2d(channels[-1], num_landmarks, 4, stride=2, padding=1, bias=False)
        else:
            self.lin = nn.Conv2d(channels[-1], num_landmarks, 3, padding=1, bias=False)
        self.skips = nn.ModuleList(BottleneckBlock(c) for c in channels) if skip_connections else None
        initialise(self)
        # Small logits at the start: a nearly uniform softmax, whose loss is finite and whose gradient is well scaled.
        nn.init.normal_(self.lin.weight, std=1e-3)

    def forward(self, decoder: Decoder, features: EncoderFeatures) -> Tensor:
        layers = (decoder.layer1, decoder.layer2, decoder.layer3, decoder.layer4)
        sides = (features.side_8, features.side_16, features.side_32, features.side_64)
        x = decoder.stem(features.z)
        for i, (layer, itl) in enumerate(zip(layers, (self.t1, self.t2, self.t3, self.t4), strict=True)):
            x = layer(x)
            if self.skips is not None:
                x = x + self.skips[i](sides[i])
            x = itl(x)
        out: Tensor = self.lin(x)
        return out
