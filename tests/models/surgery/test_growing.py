from dataclasses import replace

import pytest
import torch

from models.errors import FewmarkError
from models.networks.interleaved.face_network import FaceNetwork, FaceNetworkConfig
from models.registry import open_model
from models.surgery.growing import grow_network, widen_network


def test_a_grown_network_starts_with_what_the_small_one_knows_and_passes_it_on() -> None:
    small = open_model("fast128").network
    grown = grow_network(small)
    assert grown.config == replace(small.config, input_size=256)
    new = set(grown.state_dict()) - set(small.state_dict())
    assert {".".join(key.split(".")[:2]) for key in new} == {"encoder.layer0", "encoder.layer1", "decoder.layer5"}
    for key, value in small.state_dict().items():
        assert torch.equal(grown.state_dict()[key], value), key
    grown.eval()
    maps = torch.rand(1, grown.encoder.conv1.out_channels, 64, 64)
    with torch.inference_mode():
        assert torch.equal(grown.encoder.layer0(maps), maps)
        halving = grown.encoder.layer1[0].get_submodule("downsample")
        torch.testing.assert_close(halving(maps), maps[..., ::2, ::2], rtol=1e-4, atol=0)
    with pytest.raises(FewmarkError, match="only a network of 128 px can grow; this one has 256 px"):
        grow_network(grown)


def test_a_widened_network_computes_what_the_narrow_one_did() -> None:
    narrow = open_model("fast128").network.eval()
    wide = widen_network(narrow, 0.75).eval()
    assert wide.config == replace(narrow.config, width=0.75)
    images = torch.rand(2, 3, 128, 128)
    with torch.inference_mode():
        torch.testing.assert_close(wide(images), narrow(images), rtol=0, atol=1e-4)
        torch.testing.assert_close(wide.encode(images), narrow.encode(images), rtol=0, atol=1e-4)
        torch.testing.assert_close(wide.reconstruct(images), narrow.reconstruct(images), rtol=0, atol=1e-4)


def test_the_new_channels_of_a_widened_network_learn() -> None:
    wide = widen_network(FaceNetwork(FaceNetworkConfig(5, 128, 64, width=0.125, skip_connections=True)), 0.25)
    optimiser = torch.optim.SGD(wide.parameters(), lr=0.1)
    for _ in range(2):  # in the first step nothing hears the new channels, so that their own weights have no gradient
        optimiser.zero_grad()
        wide(torch.rand(2, 3, 128, 128)).square().mean().backward()
        optimiser.step()
    for name, value in wide.named_parameters():
        if name.startswith(("encoder.layer", "decoder.layer", "head.t")):
            assert value.grad is not None
            assert value.grad[-1].abs().max() > 0, name  # of the last channel, which the narrow network lacks


def test_only_a_narrower_network_can_be_widened() -> None:
    with pytest.raises(FewmarkError, match=r"only a narrower network can be widened; this one has width 0\.5"):
        widen_network(open_model("fast128").network, 0.5)
