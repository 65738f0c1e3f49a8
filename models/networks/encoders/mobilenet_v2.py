"""MobileNetV2 (Sandler et al., CVPR 2018, table 2) without its last layer, which serves classes alone."""

from __future__ import annotations

import re

from models.networks.encoders.base import EncoderSpec, PretrainedWeights
from models.networks.encoders.inverted_residuals import InvertedResidualEncoder, Stage

_STAGES = (
    Stage(1, 16, 1, 1),
    Stage(6, 24, 2, 2),
    Stage(6, 32, 3, 2),
    Stage(6, 64, 4, 2),
    Stage(6, 96, 3, 1),
    Stage(6, 160, 3, 2),
    Stage(6, 320, 1, 1),
)
_LAST_LAYER = 18  # number of torchvision's feature that classes are read from
_PLAIN, _EXPANDING = ("depthwise", "project"), ("expand", "depthwise", "project")


def our_key(published: str) -> str | None:
    """torchvision's key to that of ``InvertedResidualEncoder``."""
    parts = published.split(".")
    if parts[0] != "features" or int(parts[1]) == _LAST_LAYER:
        return None
    part = {"0": "conv", "1": "norm"}
    if parts[1] == "0":
        return f"stem.{part[parts[2]]}.{parts[3]}"
    block = int(parts[1]) - 1
    layers = _PLAIN if block == 0 else _EXPANDING
    # conv.0.0 and conv.0.1 are a layer; of the last one both parts stand in the block itself: conv.2 and conv.3
    if match := re.fullmatch(r"(\d)\.([01])\.(\w+)", ".".join(parts[3:])):
        return f"blocks.{block}.{layers[int(match[1])]}.{part[match[2]]}.{match[3]}"
    last = len(layers) - 1
    return f"blocks.{block}.{layers[last]}.{part[str(int(parts[3]) - last)]}.{parts[4]}"


MOBILENET_V2 = EncoderSpec(
    build=lambda: InvertedResidualEncoder(_STAGES),
    mean=(0.485, 0.456, 0.406),
    deviation=(0.229, 0.224, 0.225),
    pretrained=PretrainedWeights(
        file="mobilenet_v2-b0353104.pth",
        source="torchvision's MobileNetV2, trained on ImageNet",
        licence="BSD-3-Clause",
        our_key=our_key,
    ),
)
