"""CUDA graphs and TensorRT. ``python -m pytest -m gpu`` runs all of it on a machine with an NVIDIA GPU."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from models.decoding.heatmaps import collapse_heatmaps
from models.files.model_file import FaceModel
from models.registry import MODELS, open_model
from tracker.backends import Backend, PredictionRequest, choose_backend
from tracker.backends.cuda_graphs import BATCHES, CudaGraphsBackend
from tracker.backends.eager import EagerBackend
from tracker.backends.engine_cache import engine_path, load_engine
from tracker.backends.graph import CropGraph
from tracker.backends.nvidia import why_no_cuda
from tracker.backends.self_test import (
    MAX_CONFIDENCE_DEVIATION,
    MAX_DEVIATION,
    MAX_MEAN_DEVIATION,
    SelfTest,
    self_test_crops,
)
from tracker.backends.tensorrt import (
    TensorRtBackend,
    engine_key,
    export_network,
    gpu_description,
    half_share,
    why_no_tensorrt,
)
from tracker.types import ImageArray

FRAMES = 50


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest) -> FaceModel:
    return open_model(request.param)


@pytest.fixture(scope="module")
def crops(model: FaceModel) -> ImageArray:
    """(19, S, S, 3): more than two of the largest batches, no two alike."""
    faces = self_test_crops(model.network.config.input_size, model.crop_rule)
    return np.concatenate([np.roll(faces, shift, axis=2) for shift in range(5)])[:19]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(CudaGraphsBackend, marks=pytest.mark.gpu),
        pytest.param(TensorRtBackend, marks=[pytest.mark.gpu, pytest.mark.tensorrt]),
    ],
    ids=lambda backend: backend.name,
)
def backend(request: pytest.FixtureRequest, model: FaceModel) -> Iterator[Backend]:
    """TensorRT's builds its engine, where it is not in the cache, for minutes."""
    if reason := why_no_tensorrt() if request.param is TensorRtBackend else why_no_cuda():
        pytest.skip(reason)
    made: Backend = request.param(model)
    yield made
    made.close()


def test_it_passes_its_self_test(backend: Backend, model: FaceModel) -> None:
    deviation = SelfTest(model).deviation(backend)
    assert deviation.is_small, str(deviation)
    assert backend.device.endswith("fp16")


def test_every_batch_size_gives_what_eager_gives(backend: Backend, model: FaceModel, crops: ImageArray) -> None:
    expected = EagerBackend(model, "cpu").predict(crops)
    for count in (1, 2, 3, 4, 5, 7, 8, 9, 16, 19):
        found = backend.predict(crops[:count])
        distance = np.linalg.norm(found.points - expected.points[:count], axis=-1)
        assert found.points.shape == (count, model.scheme.num_points, 2)
        assert found.points.dtype == found.confidence.dtype == np.float32
        assert distance.max() < MAX_DEVIATION
        assert distance.mean() < MAX_MEAN_DEVIATION
        assert np.abs(found.confidence - expected.confidence[:count]).max() < MAX_CONFIDENCE_DEVIATION
        assert found.heatmaps is None
        assert found.reconstructions is None


def test_pictures_come_on_request(backend: Backend, model: FaceModel, crops: ImageArray) -> None:
    expected = EagerBackend(model, "cpu").predict(crops[:3], PredictionRequest(heatmaps=True, reconstructions=True))
    found = backend.predict(crops[:3], PredictionRequest(heatmaps=True, reconstructions=model.reconstructs))
    assert expected.heatmaps is not None
    assert found.heatmaps is not None
    assert np.abs(found.heatmaps - expected.heatmaps).mean() < 0.01
    if model.reconstructs:
        assert expected.reconstructions is not None
        assert found.reconstructions is not None
        assert np.abs(found.reconstructions.astype(int) - expected.reconstructions).mean() < 1
    images = torch.from_numpy(crops[:3]).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        maps = model.network(images)
    for landmark in (0, 30, 67):
        one = backend.predict(crops[:3], PredictionRequest(heatmaps=True, heatmap_of=landmark))
        assert one.heatmaps is not None
        assert np.abs(one.heatmaps - collapse_heatmaps(maps[:, [landmark]]).numpy()).mean() < 0.01


def test_results_are_the_callers_own(backend: Backend, crops: ImageArray) -> None:
    first = backend.predict(crops[:2])
    kept = first.points.copy()
    backend.predict(crops[2:4])
    assert np.array_equal(first.points, kept)


def test_nothing_is_allocated_per_frame(backend: Backend, crops: ImageArray) -> None:
    for count in BATCHES:
        backend.predict(crops[:count])
    before = torch.cuda.memory_stats()["allocation.all.allocated"]
    for _ in range(FRAMES):
        for count in BATCHES:
            backend.predict(crops[:count])
    assert torch.cuda.memory_stats()["allocation.all.allocated"] == before


@pytest.mark.gpu
def test_the_ladder_takes_cuda_graphs_while_there_is_no_engine(
    model: FaceModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if reason := why_no_cuda():
        pytest.skip(reason)
    monkeypatch.setattr("tracker.backends.engine_cache.engine_directory", lambda: tmp_path)
    choice = choose_backend("auto", model)
    assert choice.backend.name == "cuda_graphs"
    assert [better.backend for better in choice.passed_over] == ["tensorrt", "tensorrt_rtx"]
    choice.backend.close()


@pytest.mark.gpu
@pytest.mark.tensorrt
def test_an_engine_starts_fast_from_the_cache_and_is_built_again_if_damaged(model: FaceModel) -> None:
    if reason := why_no_tensorrt():
        pytest.skip(reason)
    TensorRtBackend(model).close()
    path = engine_path(engine_key(model, gpu_description()))
    started = time.perf_counter()
    TensorRtBackend(model, build=False).close()
    assert time.perf_counter() - started < 2
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    TensorRtBackend(model).close()
    assert load_engine(engine_key(model, gpu_description())) is not None


# Without a GPU:


def test_what_tensorrt_compiles_is_the_network_for_any_batch(model: FaceModel, crops: ImageArray) -> None:
    program = export_network(model, torch.device("cpu"), torch.float32)
    graph = CropGraph(model)
    for count in (1, 3, BATCHES[-1]):
        with torch.inference_mode():
            found = graph.read(program.module()(graph.normalise(torch.from_numpy(crops[:count]))))
            expected = graph(torch.from_numpy(crops[:count]))
        for ours, true in zip(found, expected, strict=True):
            assert torch.allclose(ours, true, atol=1e-3)


def test_the_exported_network_computes_in_half_precision_up_to_the_heatmaps(model: FaceModel) -> None:
    program = export_network(model, torch.device("cpu"))
    in_float32 = [
        node
        for node in program.graph.nodes
        if isinstance(value := node.meta.get("val"), torch.Tensor) and value.dtype == torch.float32
    ]
    weights, cast, heatmaps = in_float32
    assert weights.op == "placeholder"
    assert cast.all_input_nodes[0].meta["val"].dtype == torch.float16
    assert set(heatmaps.all_input_nodes) == {weights, cast}
    (output,) = (node for node in program.graph.nodes if node.op == "output")
    assert output.all_input_nodes == [heatmaps]


def test_an_engine_that_is_not_in_half_precision_is_seen() -> None:
    def described(*types: str) -> str:
        return json.dumps({"Layers": [{"Outputs": [{"Format/Datatype": kind}]} for kind in types], "Bindings": []})

    assert half_share(described("Half", "Row major linear FP16 format", "Int64")) == 1
    assert half_share(described("Float", "Half", "Row major linear FP32", "Float")) == 0.25
    assert half_share(json.dumps({"Layers": ["only", "names"]})) is None
