"""A network of one's own: one class and one line, and everything works with it. No other file knows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from models.errors import FewmarkError
from models.files.model_file import load_model
from models.networks.base import LandmarkNetwork, NetworkConfig, Normalisation
from models.networks.registry import NETWORKS
from tracker.backends import PredictionRequest, survey
from tracker.cli import app
from tracker.config import TrackerConfig, TrackingConfig
from tracker.files.assets import demo_clip
from tracker.files.dataclass_toml import load_toml
from tracker.following.pipeline import open_tracker
from tracker.sources import open_source
from training.config import LandmarkRecipe
from training.engine.processes import Processes
from training.losses.heatmap_losses import Coordinates
from training.stages.landmark_stage import train_landmarks
from training.stages.starting_point import StartingPoint


@dataclass(frozen=True, slots=True)
class PlainConfig(NetworkConfig):
    input_size: int = 64
    heatmap_size: int = 32
    channels: int = 16


def _block(layer: type[nn.Conv2d | nn.ConvTranspose2d], before: int, after: int) -> nn.Sequential:
    resize = layer(before, after, 4, stride=2, padding=1, bias=False)
    return nn.Sequential(resize, nn.BatchNorm2d(after), nn.ReLU())


class PlainNetwork(LandmarkNetwork):
    kind = "plain"
    config_type = PlainConfig
    heatmap_layer = "head"

    def __init__(self, config: PlainConfig) -> None:
        super().__init__(config, Normalisation((0.5, 0.4, 0.4), (0.25, 0.25, 0.25)))
        down = [3, *(config.channels * 2**i for i in range(4))]
        up = down[:0:-1]
        self.encoder = nn.Sequential(*(_block(nn.Conv2d, *pair) for pair in pairwise(down)))
        self.decoder = nn.Sequential(*(_block(nn.ConvTranspose2d, *pair) for pair in pairwise(up)))
        self.head = nn.Conv2d(up[-1], config.num_landmarks, 3, padding=1)

    def heatmaps(self, normalised: Tensor) -> Tensor:
        maps: Tensor = self.head(self.decoder(self.encoder(normalised)))
        return maps


RECIPE = """
name = "plain"
checkpoint_minutes = 0

[network]
kind = "plain"
channels = 16

[augmentation]
flip = 0.5

[loss]
name = "cross_entropy"
sigma = 1.0

[optimiser]
batch_size = 8

[[phases]]
epochs = 12
head = 3e-3
encoder = 3e-3
warmup_steps = 10
"""


@pytest.fixture(scope="module")
def _registered() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(NETWORKS, PlainNetwork.kind, PlainNetwork)
        yield


@pytest.fixture(scope="module")
def faces(labelled_faces: Callable[[int], Path]) -> Path:
    return labelled_faces(50)


@pytest.fixture(scope="module")
def trained(faces: Path, tmp_path_factory: pytest.TempPathFactory, _registered: None) -> Path:
    """The model file of a run of a few steps."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "plain.toml").write_text(RECIPE)
    recipe = load_toml(LandmarkRecipe, folder / "plain.toml")
    path = train_landmarks(recipe, faces, folder / "run", processes=Processes(torch.device("cpu")))
    assert path is not None
    assert load_toml(LandmarkRecipe, folder / "run/recipe.toml") == recipe
    return path


def test_it_trains_and_comes_back_from_its_file(trained: Path) -> None:
    model = load_model(trained)
    assert model.network.config == PlainConfig(
        num_landmarks=68, input_size=64, heatmap_size=32, heatmap_kind="logits", point_kind="peak"
    )
    assert isinstance(model.network, PlainNetwork)
    assert not model.reconstructs
    assert model.provenance["validation"]["nme_percent"] < 20  # all points in the crop's middle: 60
    assert model.provenance["recipe"]["network"] == {
        "kind": "plain",
        "input_size": 64,
        "heatmap_size": 32,
        "channels": 16,
    }


@pytest.mark.usefixtures("_registered")
def test_another_run_starts_from_it(trained: Path) -> None:
    model = load_model(trained)
    recipe = LandmarkRecipe("more", network=replace(model.network.config, num_landmarks=0), start_from=trained)
    network = StartingPoint(recipe).build_network(model.scheme)
    for key, value in model.network.state_dict().items():
        assert torch.equal(network.state_dict()[key], value), key
    means = StartingPoint(replace(recipe, loss=Coordinates())).build_network(model.scheme)
    assert means.config.point_kind == "mean"
    wider = replace(recipe, network=PlainConfig(input_size=64, heatmap_size=32, channels=24))
    with pytest.raises(FewmarkError, match=r"holds PlainConfig.* but the recipe asks for PlainConfig.*channels=24"):
        StartingPoint(wider).build_network(model.scheme)


@pytest.mark.usefixtures("_registered")
def test_it_runs_on_every_backend_that_works_here(trained: Path) -> None:
    rungs = list(survey(load_model(trained)))
    working = {rung.backend for rung in rungs if rung.device}
    assert "eager" in working
    for rung in rungs:
        assert rung.deviation is None or rung.deviation.is_small, rung


@pytest.mark.usefixtures("_registered")
@pytest.mark.parametrize("file_format", ["onnx", "openvino"])
def test_it_is_exported_and_checked(trained: Path, tmp_path: Path, file_format: str) -> None:
    pytest.importorskip({"onnx": "onnxruntime", "openvino": "openvino"}[file_format])
    target = tmp_path / {"onnx": "plain.onnx", "openvino": "plain.xml"}[file_format]
    run = CliRunner().invoke(app, ["export", str(trained), "--format", file_format, "--out", str(target)])
    assert run.exit_code == 0, run.output
    assert target.stat().st_size > 1000


@pytest.mark.usefixtures("_registered")
def test_it_is_calibrated_and_tracks(trained: Path, faces: Path, tmp_path: Path) -> None:
    calibrated = tmp_path / "calibrated.safetensors"
    arguments = ["calibrate", str(trained), "--data", str(faces), "--subset", "train", "--out", str(calibrated)]
    run = CliRunner().invoke(app, arguments)
    assert run.exit_code == 0, run.output
    # So short a training makes it sure of nothing: how sure it is must not decide here.
    config = TrackerConfig(model=str(calibrated), tracking=TrackingConfig(max_faces=1, min_confidence=0.0))
    with open_tracker(config) as tracker, open_source(demo_clip(), end_s=0.3) as source:
        assert tracker.model.calibration is not None
        results = [tracker.process(frame, heatmaps=True) for frame in source]
    assert len(results) == 9
    for result in results:
        (face,) = result.faces
        assert face.heatmap is not None
        assert (np.ptp(face.points, axis=0) > 50).all()  # a face, not a heap of points


@pytest.mark.usefixtures("_registered")
def test_it_has_nothing_to_reconstruct_with(trained: Path) -> None:
    model = load_model(trained)
    assert "not trained to reconstruct" in model.why_no_reconstruction
    assert PredictionRequest().holds_pictures is False


@pytest.mark.usefixtures("_registered")
def test_what_3fabrecs_family_alone_can_do_is_refused_by_name(faces: Path, tmp_path: Path) -> None:
    (tmp_path / "plain.toml").write_text(RECIPE)
    recipe = load_toml(LandmarkRecipe, tmp_path / "plain.toml")
    with pytest.raises(FewmarkError, match=r"reconstruction_weight is for networks of kind 'interleaved'.*'plain'"):
        train_landmarks(replace(recipe, reconstruction_weight=0.1), faces, tmp_path / "run")


def test_a_network_that_nobody_knows_is_told(trained: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delitem(NETWORKS, "plain", raising=False)
    with pytest.raises(FewmarkError, match=r"kind 'plain', which is unknown here \(interleaved.*update Fewmark"):
        load_model(trained)
    (tmp_path / "plain.toml").write_text(RECIPE)
    with pytest.raises(FewmarkError, match=r"network: kind: 'plain' is not one of 'interleaved'"):
        load_toml(LandmarkRecipe, tmp_path / "plain.toml")
    (tmp_path / "other.toml").write_text('name = "x"\n[network]\nnum_landmarks = 5\n')
    with pytest.raises(FewmarkError, match="unknown key 'num_landmarks'"):
        load_toml(LandmarkRecipe, tmp_path / "other.toml")
