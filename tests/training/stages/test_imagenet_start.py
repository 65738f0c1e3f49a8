from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models.errors import FewmarkError
from models.landmark_schemes import IBUG_68
from models.networks.encoders import ENCODERS, PretrainedWeights
from models.networks.pyramid.pyramid_network import PyramidConfig, PyramidNetwork
from tracker.files.dataclass_toml import load_toml
from tracker.files.published_files import ENCODER_WEIGHTS
from training.config import DescriptorRecipe, LandmarkRecipe, MatchingConfig
from training.recipes import find_recipe
from training.stages import starting_point
from training.stages.descriptor_stage import build_descriptor_network
from training.stages.starting_point import IMAGENET, StartingPoint

SHAPE = PyramidConfig(input_size=64, heatmap_size=16)
RECIPE = LandmarkRecipe("p", network=SHAPE, start_from=IMAGENET)


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """What MobileNetV2 has learned, as if its publisher called everything as we do."""
    known = ENCODERS["mobilenet_v2"].build().state_dict()
    torch.save(known, tmp_path / "w.pth")
    weights = PretrainedWeights("w.pth", "nobody", "none", lambda key: key)
    monkeypatch.setitem(ENCODERS, "mobilenet_v2", replace(ENCODERS["mobilenet_v2"], pretrained=weights))
    monkeypatch.setattr(starting_point, "find_or_fetch", lambda name, report: tmp_path / name)
    return known


def test_the_encoder_begins_with_what_it_learned_of_imagenet(published: dict[str, torch.Tensor]) -> None:
    start = StartingPoint(RECIPE)
    network = start.build_network(IBUG_68)
    assert isinstance(network, PyramidNetwork)
    for key, value in network.encoder.state_dict().items():
        assert torch.equal(value, published[key]), key
    assert (start.keeps_reconstructing, start.kept_autoencoder) == (False, None)


def test_descriptors_begin_there_too(published: dict[str, torch.Tensor]) -> None:
    recipe = DescriptorRecipe("d", network=SHAPE, start_from=IMAGENET, matching=MatchingConfig(channels=8))
    network, autoencoder = build_descriptor_network(recipe)
    assert autoencoder is None
    assert network.config.num_landmarks == 8
    assert torch.equal(network.parts["encoder"].state_dict()["stem.conv.weight"], published["stem.conv.weight"])


def test_what_has_no_such_weights_is_told() -> None:
    with pytest.raises(FewmarkError, match="imagenet is for networks of kind 'pyramid', and this one is of kind 'int"):
        StartingPoint(LandmarkRecipe("i", start_from=IMAGENET)).build_network(IBUG_68)
    with pytest.raises(FewmarkError, match="no weights of resnet18 are published; take mobilenet_v2, efficientnet_l"):
        StartingPoint(replace(RECIPE, network=replace(SHAPE, encoder="resnet18"))).build_network(IBUG_68)


@pytest.mark.parametrize("name", [name for name, spec in ENCODERS.items() if spec.pretrained])
def test_every_file_of_weights_is_known_where_files_are_obtained(name: str) -> None:
    pretrained = ENCODERS[name].pretrained
    assert pretrained is not None
    assert pretrained.file in ENCODER_WEIGHTS
    assert pretrained.source
    assert pretrained.licence


def test_the_recipe_asks_for_an_encoder_that_has_weights() -> None:
    recipe = load_toml(LandmarkRecipe, find_recipe(Path("pyramid192")))
    assert isinstance(recipe.network, PyramidConfig)
    assert ENCODERS[recipe.network.encoder].pretrained
    assert recipe.start_from == IMAGENET
    assert [phase.encoder < phase.decoder < phase.head for phase in recipe.phases] == [True]
