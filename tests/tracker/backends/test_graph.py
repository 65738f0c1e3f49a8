"""The graph that compilers are given, against the model itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.autoencoder.autoencoder import Autoencoder, AutoencoderConfig
from models.decoding.calibration import ConfidenceCalibration
from models.decoding.heatmaps import collapse_heatmaps
from models.files.model_file import FaceModel
from models.registry import MODELS, open_model
from models.surgery.growing import grow_network
from tracker.backends.graph import CropGraph
from tracker.backends.self_test import self_test_crops


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest) -> FaceModel:
    return open_model(request.param)


@pytest.fixture(scope="module")
def crops(model: FaceModel) -> torch.Tensor:
    return torch.from_numpy(self_test_crops(model.network.config.input_size, model.crop_rule))


def _images(crops: torch.Tensor) -> torch.Tensor:
    return crops.permute(0, 3, 1, 2).float() / 255


@torch.inference_mode()
def test_it_says_what_the_network_says(model: FaceModel, crops: torch.Tensor) -> None:
    graph = CropGraph(model, heatmaps=True, reconstruct=True)
    found = dict(zip(graph.output_names(landmark=True), graph(crops, torch.tensor([33])), strict=True))
    maps, kind = model.network(_images(crops)), model.network.config.heatmap_kind
    points, confidence = model.network.locate(_images(crops))
    assert (found["points"] - points).abs().max() < 1e-3
    assert (found["confidence"] - confidence).abs().max() < 1e-4
    assert (found["heatmaps"] - collapse_heatmaps(maps, kind)).abs().max() < 1e-3
    assert (found["landmark_heatmaps"] - collapse_heatmaps(maps[:, [33]], kind)).abs().max() < 1e-3
    reconstructions = model.reconstructor.reconstruct(_images(crops)).permute(0, 2, 3, 1) * 255
    assert found["reconstructions"].dtype == torch.uint8
    assert (found["reconstructions"] - reconstructions).abs().max() <= 1


def test_only_what_is_asked_for_is_computed(model: FaceModel, crops: torch.Tensor) -> None:
    graph = CropGraph(model)
    assert graph.output_names() == ("points", "confidence")
    assert len(graph(crops)) == 2
    with_heatmaps = CropGraph(model, heatmaps=True)
    assert with_heatmaps.output_names() == ("points", "confidence", "heatmaps")
    assert len(with_heatmaps(crops)) == 3


@torch.inference_mode()
def test_a_reconstruction_comes_from_the_models_own_autoencoder(model: FaceModel, crops: torch.Tensor) -> None:
    torch.manual_seed(0)
    autoencoder = Autoencoder(AutoencoderConfig(model.network.config.input_size, width=0.25)).eval()
    carrying = replace(model, carries=autoencoder)
    found = CropGraph(carrying, reconstruct=True)(crops)[-1]
    wanted = autoencoder.reconstruct(_images(crops)).permute(0, 2, 3, 1) * 255
    assert (found - wanted).abs().max() <= 1
    assert (found - model.network.reconstruct(_images(crops)).permute(0, 2, 3, 1) * 255).abs().max() > 10


@torch.inference_mode()
def test_an_autoencoder_of_half_the_side_reconstructs_at_the_crops_side() -> None:
    torch.manual_seed(0)
    small = open_model("fast128")
    autoencoder = Autoencoder(AutoencoderConfig(128, width=0.25)).eval()
    grown = replace(small, network=grow_network(small.network).eval(), carries=autoencoder)
    large = torch.from_numpy(self_test_crops(256, small.crop_rule))
    found = CropGraph(grown, reconstruct=True)(large)[-1]
    assert found.shape == large.shape
    assert (found - autoencoder.reconstruct(_images(large)).permute(0, 2, 3, 1) * 255).abs().max() <= 1


@torch.inference_mode()
def test_calibrated_confidences_are_those_of_the_model(model: FaceModel, crops: torch.Tensor) -> None:
    count = model.scheme.num_points
    curves = (0.1, 0.1, 0.3, 0.9), (0.0, 0.5, 0.75, 1.0)
    calibration = ConfidenceCalibration((0.0, 0.3, 0.35, 1.0), curves, tuple(i % 2 for i in range(count)))
    calibrating = replace(model, calibration=calibration)
    raw, calibrated = (CropGraph(calibrating, publish=wanted)(crops)[1].numpy() for wanted in (False, True))
    assert np.abs(calibrated - calibrating.calibrated(raw)).max() < 1e-5
    assert np.abs(calibrated - raw).max() > 0.01
    module = CropGraph(calibrating, publish=True).calibration
    assert module is not None
    everywhere = np.linspace(0, 1, 501, dtype=np.float32)[:, None].repeat(count, axis=1)
    assert np.abs(module(torch.from_numpy(everywhere)).numpy() - calibrating.calibrated(everywhere)).max() < 1e-5


@torch.inference_mode()
def test_published_points_lie_where_the_labels_do(model: FaceModel, crops: torch.Tensor) -> None:
    offset = replace(model, label_offset=0.01)
    seen, published = (CropGraph(offset, publish=wanted)(crops)[0].numpy() for wanted in (False, True))
    assert np.abs(published - offset.as_labelled(seen)).max() < 1e-4
    assert np.abs(published - seen - [0.01 * crops.shape[1], 0]).max() < 1e-4


@pytest.mark.slow  # processors compute float16 slowly
@torch.inference_mode()
def test_in_half_precision_only_the_network_is_half(model: FaceModel, crops: torch.Tensor) -> None:
    graph = CropGraph(model, heatmaps=True, reconstruct=True, dtype=torch.float16)
    dtypes = {name: weight.dtype for name, weight in graph.named_parameters()}
    assert [name for name, dtype in dtypes.items() if dtype != torch.float16] == ["network.head.lin.layer.weight"]
    points, confidence, heatmaps, reconstructions = graph(crops[:1])
    assert {points.dtype, confidence.dtype, heatmaps.dtype} == {torch.float32}
    assert reconstructions.dtype == torch.uint8
    deviation = (points - CropGraph(model)(crops[:1])[0]).abs()
    assert 0 < deviation.mean() < 0.25
    assert deviation.max() < 1
