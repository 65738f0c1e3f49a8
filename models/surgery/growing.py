"""Larger forms of a trained network that start with what the smaller one knows."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from models.autoencoder.autoencoder import Autoencoder
from models.autoencoder.blocks import ResidualBlock
from models.autoencoder.encoder import Encoder
from models.errors import FewmarkError
from models.networks.interleaved.face_network import FaceNetwork
from models.networks.interleaved.skip_connections import BottleneckBlock


def grow_autoencoder(small: Autoencoder) -> Autoencoder:
    """The 256 px form that starts with the weights of a trained 128 px form (3FabRec, section 4.2.1).

    The encoder's ``layer0`` and the decoder's ``layer5`` are new; all other tensors are copied.

    Raises:
        FewmarkError: it is no 128 px form.
    """
    config = small.config
    _check_can_grow(config.input_size)
    grown = Autoencoder(replace(config, input_size=256))
    grown.load_state_dict(small.state_dict(), strict=False)
    _start_as_identity(grown.encoder)
    return grown


def grow_network(small: FaceNetwork) -> FaceNetwork:
    """The 256 px form that starts with the weights of a trained 128 px form; the heatmaps keep their side.

    Layers that the small one lacks start as 3FabRec's grown autoencoder does (``grow_autoencoder``).

    Raises:
        FewmarkError: it is no 128 px form.
    """
    _check_can_grow(small.config.input_size)
    grown = FaceNetwork(replace(small.config, input_size=256))
    grown.load_state_dict(small.state_dict(), strict=False)
    _start_as_identity(grown.encoder)
    return grown


@torch.no_grad()
def widen_network(narrow: FaceNetwork, width: float) -> FaceNetwork:
    """A wider form that computes exactly what a trained one does, until training moves it.

    Channels that the narrow one has keep their weights and hear nothing of the new ones, which start at random
    (function-preserving, as in Chen et al., Net2Net, ICLR 2016; but no channel is a copy of another).

    Raises:
        FewmarkError: the width is not larger.
    """
    if width <= narrow.config.width:
        raise FewmarkError(f"only a narrower network can be widened; this one has width {narrow.config.width:g}")
    wide = FaceNetwork(replace(narrow.config, width=width))
    blocks = [block for block in wide.modules() if isinstance(block, BottleneckBlock)]
    within = [branch for block in blocks for branch in (block.branch2, block.branch3)]
    plain_inputs = {layer for branch in within for layer in branch}
    plain_outputs = {branch[-1] for block in blocks for branch in (block.branch1, block.branch2, block.branch3)}
    for name, layer in wide.named_modules():
        source = narrow.get_submodule(name)
        if isinstance(layer, nn.BatchNorm2d) and isinstance(source, nn.BatchNorm2d):
            kept = _places(source.num_features, layer.num_features, joined=layer not in plain_inputs)
            for ours, theirs in zip(_values(layer), _values(source), strict=True):
                ours[kept] = theirs
        elif isinstance(layer, _WEIGHTED) and isinstance(source, _WEIGHTED):
            ours, theirs = _outputs_first(layer), _outputs_first(source)
            outputs = _places(len(theirs), len(ours), joined=layer not in plain_outputs)
            inputs = _places(theirs.shape[1], ours.shape[1], joined=layer not in plain_inputs)
            ours[outputs] = 0.0
            ours[outputs[:, None], inputs] = theirs
            if layer.bias is not None and source.bias is not None:
                layer.bias[outputs] = source.bias
    return wide


_WEIGHTED = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def _places(narrow: int, wide: int, *, joined: bool) -> Tensor:
    """(narrow,) int64: where the channels of a narrow layer stand among those of the wide one.

    Args:
        joined: as a skip connection's block joins them, a half and two quarters, each with its new ones at its end;
            else all new ones stand at the end.
    """
    if narrow == wide or not joined:
        return torch.arange(narrow)
    parts = ((0, narrow // 2), (wide // 2, narrow // 4), (wide // 2 + wide // 4, narrow // 4))
    return torch.cat([first + torch.arange(count) for first, count in parts])


def _values(norm: nn.BatchNorm2d) -> tuple[Tensor, ...]:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return norm.weight, norm.bias, norm.running_mean, norm.running_var


def _outputs_first(layer: nn.Conv2d | nn.ConvTranspose2d | nn.Linear) -> Tensor:
    """The weights with the output channels in the first dimension; a view."""
    return layer.weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else layer.weight


def _check_can_grow(input_size: int) -> None:
    """Raises FewmarkError where a form of that side has no larger one."""
    if input_size != 128:
        raise FewmarkError(f"only a network of 128 px can grow; this one has {input_size} px")


def _start_as_identity(encoder: Encoder) -> None:
    """Lets what a 256 px encoder has more than one of 128 px pass its input on, until training moves it.

    Not in the paper. Random layers in front of trained ones would have to be learnt before those are of use again.
    """
    for block in encoder.layer0:
        assert isinstance(block, ResidualBlock)
        nn.init.zeros_(block.bn2.weight)
    halving = encoder.layer1[0]
    assert isinstance(halving, ResidualBlock)
    assert isinstance(halving.downsample, nn.Sequential)
    shortcut = halving.downsample[0]
    assert isinstance(shortcut, nn.Conv2d)
    nn.init.dirac_(shortcut.weight)
