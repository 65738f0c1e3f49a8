"""Batch normalisation folded into the convolution before it: the same function with fewer operations, for inference."""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from models.autoencoder.autoencoder import Autoencoder
from models.autoencoder.blocks import InvertedResidualBlock, ResidualBlock
from models.networks.interleaved.face_network import FaceNetwork

Network = TypeVar("Network", FaceNetwork, Autoencoder)


def fold_batch_norm(network: Network) -> Network:
    """A copy in evaluation mode without the batch normalisations that follow a convolution.

    Those of the bottleneck blocks come before their convolution (with a ReLU between) and stay.
    """
    folded = copy.deepcopy(network).eval()
    for module in folded.modules():
        if isinstance(module, ResidualBlock | InvertedResidualBlock):
            _fold(module, "conv1", "bn1")
            _fold(module, "conv2", "bn2")
            shortcut = module.downsample if isinstance(module, ResidualBlock) else module.upsample
            if isinstance(shortcut, nn.Sequential):
                _fold(shortcut, "0", "1")
    _fold(folded.encoder, "conv1", "bn1")
    _fold(folded.decoder, "conv1", "bn1")
    return folded


def _fold(parent: nn.Module, conv: str, norm: str) -> None:
    convolution, normalisation = getattr(parent, conv), getattr(parent, norm)
    transposed = isinstance(convolution, nn.ConvTranspose2d)
    setattr(parent, conv, fuse_conv_bn_eval(convolution, normalisation, transpose=transposed))
    setattr(parent, norm, nn.Identity())
