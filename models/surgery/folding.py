"""Batch normalisation folded into the convolution before it: the same function with fewer operations, for inference."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import TypeVar

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Module = TypeVar("Module", bound=nn.Module)


def fold_batch_norm(network: Module) -> Module:
    """A copy in evaluation mode without the batch normalisations that follow a convolution.

    Which those are is known of neighbours in an ``nn.Sequential``, and of what a module names in ``FOLDABLE``: pairs of
    its children, (convolution, normalisation). A normalisation that comes before its convolution stays.
    """
    folded = copy.deepcopy(network).eval()
    for module in folded.modules():
        if isinstance(module, nn.Sequential):
            names = [*module._modules]
            pairs = [*pairwise(names)]
        else:
            pairs = getattr(module, "FOLDABLE", [])
        for convolution, normalisation in pairs:
            _fold(module, convolution, normalisation)
    return folded


def _fold(parent: nn.Module, first: str, second: str) -> None:
    convolution, normalisation = parent.get_submodule(first), parent.get_submodule(second)
    if isinstance(convolution, nn.Conv2d | nn.ConvTranspose2d) and isinstance(normalisation, nn.BatchNorm2d):
        transposed = isinstance(convolution, nn.ConvTranspose2d)
        setattr(parent, first, fuse_conv_bn_eval(convolution, normalisation, transpose=transposed))
        setattr(parent, second, nn.Identity())
