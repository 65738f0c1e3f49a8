"""TensorRT for RTX: real engines of every shipped model, built without a GPU and inspected."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from installed import needs
from typer.testing import CliRunner

from models.autoencoder.autoencoder import Autoencoder, AutoencoderConfig
from models.errors import FewmarkError
from models.files.model_file import FaceModel
from models.registry import MODELS, open_model
from tracker.backends.base import PredictionRequest
from tracker.backends.eager import EagerBackend
from tracker.backends.engine_build import start_build
from tracker.backends.engine_cache import engine_path, load_engine
from tracker.backends.nvidia import driver_version
from tracker.backends.self_test import SelfTest, self_test_crops
from tracker.backends.tensorrt_rtx import BuiltEngine, TensorRtRtxBackend, compile_engine, engine_key
from tracker.backends.tensorrt_rtx.build import check_precision, compile_landmarks
from tracker.backends.tensorrt_rtx.inspection import describe_engine
from tracker.backends.tensorrt_rtx.runtime import EngineRunner, usable_gpu
from tracker.cli import app

# Lines as TensorRT for RTX 1.7.1 logs them, shortened.
LISTING = """Layers:
Name: cast, LayerType: kgen, Inputs: [ { Name: crops, Dimensions: [-1,128,128,3], Strides: [49152,384,3,1], \
StrideOrder: [3,2,1,0], Datatype: UInt8, Format: (Linear) Row major linear format }], Constants: [], \
Outputs: [ { Name: a, Dimensions: [-1,4,128,128], Datatype: Half, Format: (NHWC) Channel major format }], TacticName: x
Name: conv, LayerType: correlation, Inputs: [ { Name: a, Dimensions: [-1,4,128,128], Datatype: Half, Format: x }], \
Constants: [ { Name: w, Dimensions: [32,4,7,7], Datatype: {kernel}, Format: x }, \
{ Name: bias, Dimensions: [1,32,1,1], Datatype: Half, Format: x }], \
Outputs: [ { Name: b, Dimensions: [-1,32,64,64], Datatype: Half, Format: x }], TacticName: y, StreamId: 0, Metadata: z

I/O Tensors:
 Name: crops, IOMode: Input, DataType: UInt8, Dimensions: [-1,128,128,3], Location: Device, \
ProfileInfo: [ { MinShape: [1,128,128,3], OptShape: [1,128,128,3], MaxShape: [8,128,128,3], Format: x }]
 Name: points, IOMode: Output, DataType: Float, Dimensions: [-1,68,2], Location: Device, ProfileInfo: [ { Format: x }]
 Name: confidence, IOMode: Output, DataType: {end}, Dimensions: [-1,68], Location: Device, ProfileInfo: [ { Format: x }]
"""


def _listing(kernel: str = "Half", end: str = "Float") -> str:
    return LISTING.replace("{kernel}", kernel).replace("{end}", end)


def _needs_the_extra() -> None:
    needs("tensorrt_rtx", "cuda", "onnx", "onnxscript", extra="tensorrt-rtx")


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest) -> FaceModel:
    return open_model(request.param)


@pytest.fixture(scope="module")
def half(model: FaceModel) -> BuiltEngine:
    _needs_the_extra()
    return compile_engine(model)


def test_a_listing_is_read() -> None:
    description = describe_engine(["Engine generation completed", _listing()])
    assert [layer.kind for layer in description.layers] == ["kgen", "correlation"]
    (kernel,) = description.layers[1].weights
    assert (kernel.name, kernel.shape, kernel.datatype) == ("w", (32, 4, 7, 7), "Half")
    assert [tensor.name for tensor in description.outputs] == ["points", "confidence"]
    assert description.batch == (1, 8)
    with pytest.raises(FewmarkError, match="did not list"):
        describe_engine(["Engine generation completed"])


def test_an_engine_in_another_precision_is_refused() -> None:
    heatmaps = (68, 32, 3, 3)
    check_precision(describe_engine([_listing()]), "fp16", heatmaps)
    with pytest.raises(FewmarkError, match="layer conv computes in Float, Half, not in fp16"):
        check_precision(describe_engine([_listing(kernel="Float")]), "fp16", heatmaps)
    with pytest.raises(FewmarkError, match="not in fp32"):
        check_precision(describe_engine([_listing()]), "fp32", heatmaps)
    with pytest.raises(FewmarkError, match="other ends"):
        check_precision(describe_engine([_listing(end="Half")]), "fp16", heatmaps)


def test_only_the_layer_of_the_heatmaps_may_be_float32() -> None:
    in_float32 = _listing(kernel="Float").replace(
        "Name: a, Dimensions: [-1,4,128,128], Datatype: Half",
        "Name: a, \
Dimensions: [-1,4,128,128], Datatype: Float",
    )
    check_precision(describe_engine([in_float32]), "fp16", (32, 4, 7, 7))
    with pytest.raises(FewmarkError, match="layer conv computes in Float, not in fp16"):
        check_precision(describe_engine([in_float32]), "fp16", (68, 32, 3, 3))


def test_an_engine_is_half_where_it_should_be(half: BuiltEngine, model: FaceModel) -> None:
    size, count, side = (getattr(model.network.config, n) for n in ("input_size", "num_landmarks", "heatmap_size"))
    description = half.description
    assert description.batch == (1, 8)
    assert [(t.name, t.shape, t.datatype) for t in description.inputs] == [
        ("crops", (-1, size, size, 3), "UInt8"),
        ("landmark", (1,), "Int64"),
    ]
    assert [(t.name, t.shape, t.datatype) for t in description.outputs] == [
        ("points", (-1, count, 2), "Float"),
        ("confidence", (-1, count), "Float"),
        ("heatmaps", (-1, side, side), "Float"),
        ("landmark_heatmaps", (-1, side, side), "Float"),
    ]
    learnt = [layer for layer in description.layers if layer.weights]
    assert len(learnt) > 40  # convolutions, transposed ones and two fully connected layers
    kernel = tuple(model.network.head.lin.get_parameter("weight").shape)
    in_float32 = [t.shape for layer in learnt for t in layer.weights if t.datatype != "Half"]
    assert in_float32 == [kernel]  # that of the layer that gives the heatmaps
    # From there on, all is float32.
    last = max(i for i, layer in enumerate(description.layers) if layer.weights)
    after = [tensor for layer in description.layers[last + 1 :] for tensor in layer.outputs]
    assert after
    assert "Half" not in {tensor.datatype for tensor in after}


@pytest.mark.slow
def test_an_engine_holds_the_weights_in_two_bytes_each(half: BuiltEngine, model: FaceModel) -> None:
    exact = compile_engine(model, precision="fp32")
    assert exact.description.weight_datatypes == {"Float"}
    used = [*model.network.encoder.parameters(), *model.network.decoder.parameters(), *model.network.head.parameters()]
    saved = len(exact.plan) - len(half.plan)  # the heatmaps' own layer is small
    assert saved == pytest.approx(2 * sum(p.numel() for p in used), rel=0.05)


@pytest.mark.slow
def test_reconstructions_are_one_more_output(model: FaceModel) -> None:
    _needs_the_extra()
    size = model.network.config.input_size
    built = compile_engine(model, reconstruct=True)
    last = built.description.outputs[-1]
    assert (last.name, last.shape, last.datatype) == ("reconstructions", (-1, size, size, 3), "UInt8")
    assert sum(t.datatype != "Half" for layer in built.description.layers for t in layer.weights) == 1


@pytest.mark.slow
def test_an_engine_is_built_into_the_cache_and_rebuilt_when_damaged(empty_cache: Path) -> None:
    _needs_the_extra()
    model = open_model("fast128")
    key = engine_key(model)
    assert load_engine(key) is None
    start_build(compile_landmarks, model, key).wait()
    path = engine_path(key)
    assert path.is_relative_to(empty_cache)
    built = load_engine(key)
    assert built is not None
    path.write_bytes(path.read_bytes()[:-1000])
    assert load_engine(key) is None
    start_build(compile_landmarks, model, key).wait()
    assert len(load_engine(key) or b"") == len(built)


@pytest.mark.slow
def test_the_command_builds_engines_for_the_tracker_or_into_a_file(empty_cache: Path) -> None:
    _needs_the_extra()
    model = open_model("fast128")
    run = CliRunner().invoke(app, ["build-engine", "fast128"])
    assert run.exit_code == 0, run.output
    assert "layers, fp16" in run.stdout
    assert "batches of 1 to 8 crops" in run.output
    assert load_engine(engine_key(model)) is not None
    assert load_engine(engine_key(model, reconstruct=True)) is not None
    target = empty_cache / "engines" / "fast128.engine"
    run = CliRunner().invoke(app, ["build-engine", "fast128", "--precision", "fp32", "--out", str(target)])
    assert run.exit_code == 0, run.output
    assert target.stat().st_size > 20e6
    assert [path.name for path in target.parent.iterdir()] == ["fast128.engine"]


def test_what_invalidates_an_engine_is_in_its_key(model: FaceModel) -> None:
    _needs_the_extra()
    key = engine_key(model)
    assert engine_path(key) == engine_path(engine_key(open_model(model.name)))
    others = [
        engine_key(model, precision="fp32"),
        engine_key(model, reconstruct=True),
        *(engine_key(open_model(name)) for name in MODELS if name != model.name),
        {**key, "tensorrt_rtx": "0.1"},
        engine_key(
            replace(model, carries=Autoencoder(AutoencoderConfig(model.network.config.input_size))), reconstruct=True
        ),
    ]
    assert len({engine_path(other) for other in (key, *others)}) == len(others) + 1


def test_without_a_driver_the_backend_says_so(model: FaceModel) -> None:
    _needs_the_extra()
    if driver_version() is not None:
        pytest.skip("there is an NVIDIA driver")
    with pytest.raises(FewmarkError, match="backend tensorrt_rtx: no NVIDIA driver; it needs an NVIDIA card of"):
        TensorRtRtxBackend(model)
    with pytest.raises(FewmarkError, match="the engine is of no use here"):
        EngineRunner(b"no engine", Path("unused"))


@pytest.mark.parametrize("missing", ["tensorrt_rtx", "cuda.bindings"])
def test_without_the_extra_the_backend_says_so(missing: str, model: FaceModel, monkeypatch: pytest.MonkeyPatch) -> None:
    if missing != "tensorrt_rtx":
        _needs_the_extra()
    monkeypatch.setattr("tracker.backends.tensorrt_rtx.runtime.driver_version", lambda: "13.0")
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(FewmarkError, match=r"pip install 'fewmark\[tensorrt-rtx\]'"):
        TensorRtRtxBackend(model)


@pytest.mark.gpu
def test_the_backend_agrees_with_eager_on_the_gpu(model: FaceModel, empty_cache: Path) -> None:
    _needs_the_extra()
    try:
        usable_gpu()
    except FewmarkError as error:
        pytest.skip(str(error))
    backend = TensorRtRtxBackend(model)
    assert SelfTest(model).deviation(backend).is_small
    crops = np.concatenate([self_test_crops(model.network.config.input_size, model.crop_rule)] * 3)
    request = PredictionRequest(heatmaps=True, heatmap_of=8, reconstructions=True)
    found = backend.predict(crops, request)
    wanted = EagerBackend(model, "cpu").predict(crops, request)
    assert np.abs(found.points - wanted.points).mean() < 0.25
    assert found.heatmaps is not None
    assert wanted.heatmaps is not None
    assert np.abs(found.heatmaps - wanted.heatmaps).mean() < 0.02
    assert found.reconstructions is not None
    assert found.reconstructions.shape == crops.shape
    kernels = engine_path(engine_key(model)).with_suffix(".kernels")
    backend.close()
    backend.close()
    assert kernels.stat().st_size > 0
