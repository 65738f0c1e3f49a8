"""EfficientNet-Lite 0 to 4 without their last layer, which serves classes alone.

Google's EfficientNets (Tan and Le, ICML 2019, table 1) without squeeze-and-excitation and with ReLU6; the stem, the
first and the last stage are as wide and as deep in all of them.
"""

from __future__ import annotations

import math
import re
from functools import partial

from models.networks.encoders.base import EncoderSpec, PretrainedWeights
from models.networks.encoders.inverted_residuals import Habits, InvertedResidualEncoder, Stage

_STAGES = (
    Stage(1, 16, 1, 1),
    Stage(6, 24, 2, 2),
    Stage(6, 40, 2, 2, kernel=5),
    Stage(6, 80, 3, 2),
    Stage(6, 112, 3, 1, kernel=5),
    Stage(6, 192, 4, 2, kernel=5),
    Stage(6, 320, 1, 1),
)
# Width and depth, as multiples of Lite0's.
_SIZES = {0: (1.0, 1.0), 1: (1.0, 1.1), 2: (1.1, 1.2), 3: (1.2, 1.4), 4: (1.4, 1.8)}
_FILES = {  # of the larger two nobody publishes a package
    0: "efficientnet-lite0-57934424.pth",
    1: "efficientnet-lite1-77cc7160.pth",
    2: "efficientnet-lite2-9656183e.pth",
}
_LAYERS = {"_expand_conv": "expand.conv", "_depthwise_conv": "depthwise.conv", "_project_conv": "project.conv"}
_NORMS = {"_bn0": "expand.norm", "_bn1": "depthwise.norm", "_bn2": "project.norm"}


def build(size: int) -> InvertedResidualEncoder:
    """EfficientNet-Lite of a size of 0 to 4."""
    width, depth = _SIZES[size]
    stages = [
        Stage(
            stage.expansion,
            _scaled(stage.channels, width),
            stage.blocks if i in (0, len(_STAGES) - 1) else math.ceil(stage.blocks * depth),
            stage.stride,
            stage.kernel,
        )
        for i, stage in enumerate(_STAGES)
    ]
    return InvertedResidualEncoder(stages, habits=Habits(uneven_padding=True, norm_eps=1e-3))


def our_key(published: str) -> str | None:
    """A key of the published port to that of ``InvertedResidualEncoder``."""
    stem = {"_conv_stem": "stem.conv", "_bn0": "stem.norm"}
    first, _, rest = published.partition(".")
    if first in stem:
        return f"{stem[first]}.{rest}"
    if match := re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", published):
        return f"blocks.{match[1]}.{(_LAYERS | _NORMS)[match[2]]}.{match[3]}"
    return None  # the last layer, and the classes


def _scaled(channels: int, width: float) -> int:
    """Channels times width to the next multiple of 8, but never less than nine tenths of it."""
    wanted = channels * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


def _pretrained(size: int) -> PretrainedWeights | None:
    if size not in _FILES:
        return None
    source = f"Google's EfficientNet-Lite{size}, trained on ImageNet, in ML Illustrated's port to PyTorch"
    return PretrainedWeights(file=_FILES[size], source=source, licence="Apache-2.0", our_key=our_key)


EFFICIENTNET_LITE = {
    f"efficientnet_lite{size}": EncoderSpec(
        build=partial(build, size), mean=(127 / 255,) * 3, deviation=(128 / 255,) * 3, pretrained=_pretrained(size)
    )
    for size in _SIZES
}
