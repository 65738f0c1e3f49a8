from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from models.autoencoder.autoencoder import to_side
from models.crop_rule import CropRule
from models.errors import FewmarkError
from models.files.model_file import FaceModel, load_model, save_model
from models.files.pretrained_encoder import load_pretrained
from models.landmark_schemes import IBUG_68
from models.networks.encoders import ENCODERS, STRIDES
from models.networks.encoders.inverted_residuals import InvertedResidualEncoder
from models.networks.pyramid.pyramid_network import PyramidConfig, PyramidNetwork
from models.surgery.folding import fold_batch_norm


@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoder_gives_maps_at_its_strides(name: str) -> None:
    encoder = ENCODERS[name].build().eval()
    with torch.inference_mode():
        maps = encoder(torch.zeros(1, 3, 96, 64))
    found = [(m.shape[1], 96 // m.shape[2], 64 // m.shape[3]) for m in maps]
    assert found == [(c, s, s) for c, s in zip(encoder.channels, STRIDES, strict=True)]


@pytest.mark.parametrize("heatmap_size", [32, 64])
@pytest.mark.parametrize("name", ["mobilenet_v2", "efficientnet_lite0", "resnet18"])
def test_heatmaps_have_the_side_of_the_config_and_folding_changes_nothing(name: str, heatmap_size: int) -> None:
    torch.manual_seed(0)
    network = PyramidNetwork(PyramidConfig(5, 128, heatmap_size, encoder=name))
    torch.nn.init.normal_(network.head.weight)
    for key, buffer in network.named_buffers():  # as after training
        if key.endswith("running_mean"):
            buffer.uniform_(-0.2, 0.2)
        elif key.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
    images = torch.rand(2, 3, 128, 128)
    with torch.inference_mode():
        expected, folded = network.eval()(images), fold_batch_norm(network)
        torch.testing.assert_close(folded(images), expected, atol=1e-3, rtol=1e-3)
    assert expected.shape == (2, 5, heatmap_size, heatmap_size)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())


@pytest.mark.parametrize(("side", "heatmaps"), [(200, 50), (192, 40), (128, 128)])
def test_sides_that_do_not_fit_are_refused(side: int, heatmaps: int) -> None:
    with pytest.raises(FewmarkError, match="take a multiple of 32 px, and heatmaps of a quarter or half of it"):
        PyramidNetwork(PyramidConfig(5, side, heatmaps))


def test_an_unknown_encoder_is_told() -> None:
    with pytest.raises(FewmarkError, match="encoder 'resnet19' is unknown; choose one of mobilenet_v2"):
        PyramidNetwork(PyramidConfig(5, encoder="resnet19"))


def test_every_parameter_belongs_to_a_part_that_has_a_rate() -> None:
    network = PyramidNetwork(PyramidConfig(5))
    in_parts = sum(p.numel() for part in network.parts.values() for p in part.parameters())
    assert in_parts == sum(p.numel() for p in network.parameters())
    assert list(network.parts) == ["head", "encoder", "decoder"]


def test_a_model_file_brings_back_the_same_network(tmp_path: Path) -> None:
    network = PyramidNetwork(PyramidConfig(68, encoder="efficientnet_lite0", decoder_channels=(16, 24, 32))).eval()
    save_model(tmp_path / "m.safetensors", FaceModel("m", network, IBUG_68, CropRule()))
    loaded = load_model(tmp_path / "m.safetensors").network
    assert loaded.config == network.config
    images = torch.rand(1, 3, 192, 192)
    with torch.inference_mode():
        assert torch.equal(loaded(images), network(images))


def _published_keys(name: str) -> Iterator[tuple[str, str]]:
    """What the publishers call the parts of each layer, and what we do; written down from their files."""
    encoder = ENCODERS[name].build()
    assert isinstance(encoder, InvertedResidualEncoder)
    lite = name.startswith("efficientnet")
    yield from (
        [("_conv_stem", "stem.conv"), ("_bn0", "stem.norm")]
        if lite
        else [
            ("features.0.0", "stem.conv"),
            ("features.0.1", "stem.norm"),
        ]
    )
    for i in range(len(encoder.blocks)):
        layers = ["depthwise", "project"] if i == 0 else ["expand", "depthwise", "project"]
        for place, layer in enumerate(layers):
            ours = f"blocks.{i}.{layer}"
            if lite:
                number = {"expand": 0, "depthwise": 1, "project": 2}[layer]
                yield f"_blocks.{i}._{layer}_conv", f"{ours}.conv"
                yield f"_blocks.{i}._bn{number}", f"{ours}.norm"
            else:
                inner = "" if layer == "project" else f"{place}."
                first, second = (place, place + 1) if layer == "project" else (0, 1)
                yield f"features.{i + 1}.conv.{inner}{first}", f"{ours}.conv"
                yield f"features.{i + 1}.conv.{inner}{second}", f"{ours}.norm"


@pytest.mark.parametrize("name", [name for name, spec in ENCODERS.items() if spec.pretrained])
def test_published_weights_find_their_places(name: str, tmp_path: Path) -> None:
    spec = ENCODERS[name]
    assert spec.pretrained is not None
    source, target = spec.build(), spec.build()
    for parameter in source.parameters():
        torch.nn.init.normal_(parameter)
    theirs = {ours: published for published, ours in _published_keys(name)}
    published = {
        re.sub(r"^(.*\.(?:conv|norm))(\..*)$", lambda m: theirs[m[1]] + m[2], key): value
        for key, value in source.state_dict().items()
    }
    extra = {"classifier.1.weight": torch.zeros(2, 2), "features.18.0.weight": torch.zeros(2)}
    torch.save({**published, **({"_fc.weight": torch.zeros(2)} if "lite" in name else extra)}, tmp_path / "w.pth")
    load_pretrained(target, spec.pretrained, tmp_path / "w.pth")
    for key, value in source.state_dict().items():
        assert torch.equal(target.state_dict()[key], value), key


def test_another_file_is_refused(tmp_path: Path) -> None:
    weights = ENCODERS["mobilenet_v2"].pretrained
    assert weights is not None
    path = tmp_path / "w.pth"
    for contents in (b"", b"no weights"):
        path.write_bytes(contents)
        with pytest.raises(FewmarkError, match=r"w\.pth: not the weights of that encoder"):
            load_pretrained(ENCODERS["mobilenet_v2"].build(), weights, path)
    torch.save({"features.0.0.weight": torch.zeros(1)}, path)
    with pytest.raises(FewmarkError, match=r"w\.pth: not the weights of that encoder"):
        load_pretrained(ENCODERS["mobilenet_v2"].build(), weights, path)


def test_crops_of_192_px_are_seen_by_an_autoencoder_of_128() -> None:
    ramp = torch.linspace(0, 1, 192).expand(1, 3, 192, 192)
    small = to_side(ramp, 128)
    assert small.shape == (1, 3, 128, 128)
    pixels = torch.arange(128) * 1.5 + 0.25  # where the centre of a small pixel lies among the large ones
    torch.testing.assert_close(small[0, 0, 0], (pixels / 191), atol=2e-3, rtol=0)
