"""Encoders: images to maps at strides 4 to 32. One a file, and a line in ``ENCODERS``."""

from __future__ import annotations

from models.networks.encoders.base import STRIDES, Encoder, EncoderSpec, PretrainedWeights
from models.networks.encoders.efficientnet_lite import EFFICIENTNET_LITE
from models.networks.encoders.mobilenet_v2 import MOBILENET_V2
from models.networks.encoders.resnet18 import RESNET18

__all__ = ["ENCODERS", "STRIDES", "Encoder", "EncoderSpec", "PretrainedWeights"]

ENCODERS: dict[str, EncoderSpec] = {"mobilenet_v2": MOBILENET_V2, **EFFICIENTNET_LITE, "resnet18": RESNET18}
