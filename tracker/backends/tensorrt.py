"""TensorRT: the network as an engine that was compiled for this GPU, in half precision.

The engine is built by Torch-TensorRT, once, and run by TensorRT itself within a CUDA graph, which also holds the
normalisation before it and the decoding after it. Only building imports ``torch_tensorrt``, in a process of its own.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import re
import tempfile
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from models.errors import FewmarkError
from models.files.model_file import FaceModel
from tracker.backends.cuda_graphs import BATCHES, CudaGraphsBackend, Recordable
from tracker.backends.engine_build import EngineNotBuilt, start_build
from tracker.backends.engine_cache import EngineKey, engine_directory, engine_path, load_engine, weights_hash
from tracker.backends.graph import CropGraph
from tracker.backends.nvidia import driver_version, why_no_cuda

NAME = "tensorrt"
_MIN_HALF_SHARE = 0.9  # of what layers give, in half precision; the rest are casts and shapes


class TensorRtBackend(CudaGraphsBackend):
    """The landmark path through the engine; a reconstruction, on request, through the CUDA graph of the whole model."""

    name = NAME

    def __init__(self, model: FaceModel, *, build: bool = True, report: Callable[[str], None] | None = None) -> None:
        """
        Args:
            build: build the engine, which takes minutes, if it is not in the cache.
            report: receives how far that is, every ten seconds.

        Raises:
            EngineNotBuilt: it is not in the cache and must not be built.
            FewmarkError: TensorRT can't be used here.
        """
        if reason := why_no_tensorrt():
            raise FewmarkError(f"backend {NAME}: {reason}")
        import tensorrt

        self._runtime = tensorrt.Runtime(tensorrt.Logger(tensorrt.Logger.ERROR))
        self._engine = self._open_engine(model, build, report)
        _check_half(self._engine)
        self._contexts: list[_EngineContext] = []
        super().__init__(model)

    def close(self) -> None:
        super().close()
        self._contexts.clear()

    def _open_engine(self, model: FaceModel, build: bool, report: Callable[[str], None] | None) -> Any:
        key = engine_key(model, gpu_description())
        plan = load_engine(key)
        engine = None if plan is None else self._runtime.deserialize_cuda_engine(plan)
        if engine is None and not build:
            raise EngineNotBuilt(key)
        if engine is None:
            engine_path(key).unlink(missing_ok=True)
            start_build(compile_engine, model, key).wait(report)
            engine = self._runtime.deserialize_cuda_engine(load_engine(key))
        if engine is None:
            raise FewmarkError(f"backend {NAME}: TensorRT can't read the engine that it built; build it again")
        return engine

    def _recordable(self, batch: int, *, heatmaps: bool, reconstruct: bool) -> Recordable:
        if reconstruct:  # needs the latent code, which the engine keeps to itself
            return super()._recordable(batch, heatmaps=heatmaps, reconstruct=True)
        graph, network = self._graph(reconstruct=False), _EngineContext(self._engine, batch, self._size, self._gpu)
        self._contexts.append(network)

        def run(crops: Tensor, landmark: Tensor) -> dict[str, Tensor]:
            graph.heatmaps = heatmaps
            maps = network(graph.normalise(crops))
            return dict(zip(graph.output_names(landmark=True), graph.read(maps, landmark), strict=True))

        return run


class _EngineContext:
    """The engine for one batch size. A recorded graph needs a context of its own, for it uses the context's memory."""

    def __init__(self, engine: Any, batch: int, size: int, gpu: torch.device) -> None:
        images, maps = io_tensors(engine)
        self._context = engine.create_execution_context()
        self._context.set_input_shape(images, (batch, 3, size, size))
        self._images = torch.zeros((batch, 3, size, size), dtype=torch.float16, device=gpu)
        self._maps = torch.zeros(tuple(self._context.get_tensor_shape(maps)), device=gpu)
        self._context.set_tensor_address(images, self._images.data_ptr())
        self._context.set_tensor_address(maps, self._maps.data_ptr())

    def __call__(self, images: Tensor) -> Tensor:
        """(B, 3, S, S) to heatmaps (B, K, h, h) float32, which the next call overwrites; on the current stream."""
        self._images.copy_(images)
        if not self._context.execute_async_v3(torch.cuda.current_stream().cuda_stream):
            raise RuntimeError("TensorRT did not run the engine")
        return self._maps


class HeatmapNetwork(nn.Module):
    """What is compiled: normalised images (B, 3, S, S) to heatmaps (B, K, h, h), batch normalisation folded."""

    def __init__(self, model: FaceModel, dtype: torch.dtype = torch.float16) -> None:
        super().__init__()
        self.network = CropGraph(model, dtype=dtype).network
        del self.network.normalisation  # not a weight of the engine: images come normalised

    def forward(self, images: Tensor) -> Tensor:
        return self.network.heatmaps(images)


def export_network(model: FaceModel, device: torch.device, dtype: torch.dtype = torch.float16) -> Any:
    """The ``torch.export.ExportedProgram`` of ``HeatmapNetwork``, for batches from 1 to the largest of ``BATCHES``."""
    size = model.network.config.input_size
    network = HeatmapNetwork(model, dtype).to(device)
    batch = torch.export.Dim("batch", min=1, max=BATCHES[-1])
    example = torch.zeros((2, 3, size, size), dtype=dtype, device=device)
    with torch.no_grad():
        return torch.export.export(network, (example,), dynamic_shapes=({0: batch},))


def compile_engine(model: FaceModel) -> bytes:
    """The serialised engine for the GPU at hand: one engine for all of the network, or an error. Takes minutes."""
    import torch_tensorrt

    gpu = torch.device("cuda", torch.cuda.current_device())
    size, most = model.network.config.input_size, BATCHES[-1]
    images = torch_tensorrt.Input(
        min_shape=(1, 3, size, size),
        opt_shape=(1, 3, size, size),  # one face, live, is where every microsecond counts
        max_shape=(most, 3, size, size),
        dtype=torch.float16,
    )
    # Precision is what the exported network says: float16. The option for it has been an error or ignored since 2.10.
    timings = engine_directory() / f"timings-{_safe(gpu_description())}-{_version('tensorrt')}.bin"
    with tempfile.TemporaryDirectory() as scratch, torch.no_grad():
        # Has the engine describe its layers, so that their precision can be checked.
        details = torch_tensorrt.dynamo.Debugger(
            "error", engine_builder_monitor=False, save_engine_profile=True, logging_dir=scratch
        )

        def convert() -> bytes:
            with details:
                engine: bytes = torch_tensorrt.dynamo.convert_exported_program_to_serialized_trt_engine(
                    export_network(model, gpu),
                    inputs=[images],
                    require_full_compilation=True,
                    timing_cache_path=str(timings),
                )
            return engine

        try:
            return convert()
        except RuntimeError:
            if not timings.is_file():
                raise
            timings.unlink()  # it may be damaged
            return convert()


def why_no_tensorrt() -> str:
    """Why TensorRT can't be used here, and what would help; "" if it can."""
    if reason := why_no_cuda():
        return reason
    if any(importlib.util.find_spec(package) is None for package in ("torch_tensorrt", "tensorrt")):
        return "extra tensorrt not installed: pip install 'fewmark[tensorrt]'"
    theirs, ours = (".".join(v.split(".")[:2]) for v in (_version("torch-tensorrt"), torch.__version__))
    if theirs != ours:
        return f"torch-tensorrt {theirs} does not fit torch {ours}: pip install 'torch-tensorrt=={ours}.*'"
    return ""


def engine_key(model: FaceModel, gpu: str) -> EngineKey:
    """Everything that invalidates an engine.

    Args:
        gpu: ``gpu_description()``.
    """
    return {
        "backend": NAME,
        "gpu": gpu,
        "driver": driver_version() or "none",
        "torch": torch.__version__,
        "torch-tensorrt": _version("torch-tensorrt"),
        "tensorrt": _version("tensorrt"),
        "weights": weights_hash(model),
        "precision": "fp16, heatmaps fp32",
        "batch": f"1 to {BATCHES[-1]}",
    }


def gpu_description() -> str:
    """The GPU at hand: its name, compute capability and multiprocessors; of two that say the same, one engine fits."""
    facts = torch.cuda.get_device_properties(torch.cuda.current_device())
    return f"{facts.name} {facts.major}.{facts.minor} {facts.multi_processor_count}"


def io_tensors(engine: Any) -> tuple[str, str]:
    """Names of an engine's one input and one output.

    Raises:
        FewmarkError: it has others.
    """
    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    is_input = [engine.get_tensor_mode(name).name == "INPUT" for name in names]
    if sorted(is_input) != [False, True]:
        raise FewmarkError(f"backend {NAME}: the engine has tensors {', '.join(names)}, not one input and one output")
    return names[is_input.index(True)], names[is_input.index(False)]


def half_share(information: str) -> float | None:
    """The share of half precision in what the layers of an engine give, from its inspector's JSON.

    None where the engine does not describe its layers.
    """
    layers = json.loads(information)["Layers"]
    types = [
        str(tensor.get("Format/Datatype", ""))
        for layer in layers
        if isinstance(layer, dict)  # else only a name
        for tensor in layer.get("Outputs", ())
    ]
    floating = [kind for kind in types if re.search("half|float|fp", kind, re.IGNORECASE)]
    half = [kind for kind in floating if re.search("half|fp16|float16", kind, re.IGNORECASE)]
    return len(half) / len(floating) if floating else None


def _check_half(engine: Any) -> None:
    """Its network is strongly typed: half precision from its input on, float32 only in the layer of the heatmaps.

    Raises:
        FewmarkError: the engine computes in float32.
    """
    import tensorrt

    for name, wanted in zip(io_tensors(engine), (tensorrt.DataType.HALF, tensorrt.DataType.FLOAT), strict=True):
        if (found := engine.get_tensor_dtype(name)) != wanted:
            raise FewmarkError(f"backend {NAME}: {name} of its engine is {found}, not {wanted}")
    information = engine.create_engine_inspector().get_engine_information(tensorrt.LayerInformationFormat.JSON)
    share = half_share(information)
    if share is not None and share < _MIN_HALF_SHARE:
        raise FewmarkError(f"backend {NAME}: only {share:.0%} of its engine's layers compute in half precision")


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "none"


def _safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "_", text)
