"""From a model to an engine, ahead of time: needs neither a GPU nor a driver."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import torch

from models.errors import FewmarkError
from models.files.model_file import FaceModel
from tracker.backends.engine_cache import EngineKey, weights_hash
from tracker.backends.graph import CropGraph
from tracker.backends.onnx_graph import onnx_graph
from tracker.backends.tensorrt_rtx.inspection import EngineDescription, describe_engine

NAME = "tensorrt_rtx"
MAX_BATCH = 8
Precision = Literal["fp16", "fp32"]
PRECISIONS: dict[Precision, tuple[torch.dtype, str]] = {  # and TensorRT's word
    "fp16": (torch.float16, "Half"),
    "fp32": (torch.float32, "Float"),
}
# Not 7.5: it multiplies no float32 matrices, which decoding does.
TARGETS = "compute capability 8.0, 8.6, 8.9 and 12"


@dataclass(frozen=True, slots=True)
class BuiltEngine:
    """A serialised engine and what it is made of."""

    plan: bytes
    description: EngineDescription
    precision: Precision


def import_tensorrt_rtx() -> Any:
    """The module.

    Raises:
        FewmarkError: it is not installed.
    """
    try:
        import tensorrt_rtx
    except (ImportError, OSError) as error:  # OSError: its library does not load
        raise FewmarkError(
            f"backend {NAME}: TensorRT for RTX is not installed ({error}); pip install 'fewmark[tensorrt-rtx]'"
        ) from error
    return tensorrt_rtx


def compile_engine(
    model: FaceModel,
    *,
    precision: Precision = "fp16",
    reconstruct: bool = False,
    report: Callable[[str], None] | None = None,
) -> BuiltEngine:
    """Builds the engine for batches of 1 to ``MAX_BATCH`` crops and all ``TARGETS``; some ten seconds.

    Args:
        precision: of the network but for its last layer; normalisation, heatmaps and decoding are float32.
        reconstruct: with the reconstruction as one more output.
        report: receives what is being done, for people.

    Raises:
        FewmarkError: the extra is missing, or the engine computes in another precision than asked for.
    """
    tensorrt = import_tensorrt_rtx()
    report = report or (lambda line: None)
    report("exporting the graph")
    graph = CropGraph(model, heatmaps=True, reconstruct=reconstruct, dtype=PRECISIONS[precision][0])
    proto = onnx_graph(graph, landmark=True, extra="tensorrt-rtx")
    report("compiling the engine")
    # In a thread: the builder calls the logger in the middle of C++, where a Ctrl-C would end the program at once.
    with ThreadPoolExecutor(1) as builder:
        plan, messages = builder.submit(_compile, tensorrt, proto.SerializeToString(), graph.config.input_size).result()
    description = describe_engine(messages)
    check_precision(description, precision, tuple(model.network.last_layer.get_parameter("weight").shape))
    return BuiltEngine(plan, description, precision)


def compile_landmarks(model: FaceModel) -> bytes:
    """The engine that the backend starts with; a function by itself, for ``start_build``."""
    return compile_engine(model).plan


def compile_with_reconstruction(model: FaceModel) -> bytes:
    """Likewise with reconstructions."""
    return compile_engine(model, reconstruct=True).plan


def check_precision(description: EngineDescription, precision: Precision, heatmap_kernel: tuple[int, ...]) -> None:
    """Are all learnt weights and their layers' inputs of that precision?

    Args:
        heatmap_kernel: shape of the weights of the layer that gives the heatmaps, which is float32 in every engine.

    Raises:
        FewmarkError: those of a layer are not, or points and confidences are not float32.
    """
    word = PRECISIONS[precision][1]
    for layer in description.layers:
        if not layer.weights:
            continue
        found = {tensor.datatype for tensor in (*layer.weights, *layer.inputs)}
        gives_heatmaps = [tensor.shape for tensor in layer.weights] == [heatmap_kernel]
        if found != {word} and not (gives_heatmaps and found == {"Float"}):
            raise FewmarkError(
                f"backend {NAME}: layer {layer.name} computes in {', '.join(sorted(found))}, not in {precision}"
            )
    ends = {tensor.name: tensor.datatype for tensor in description.outputs}
    if not description.weight_datatypes or ends.get("points") != "Float" or ends.get("confidence") != "Float":
        raise FewmarkError(f"backend {NAME}: the engine has other ends than points and confidences in float32: {ends}")


def engine_key(model: FaceModel, *, precision: Precision = "fp16", reconstruct: bool = False) -> EngineKey:
    """Everything that invalidates an engine; the card and its driver don't.

    Raises:
        FewmarkError: the extra is missing.
    """
    return {
        "backend": NAME,
        "tensorrt_rtx": import_tensorrt_rtx().__version__,
        "torch": torch.__version__,
        "onnx": _version("onnx"),
        "onnxscript": _version("onnxscript"),
        "weights": weights_hash(model, reconstruct=reconstruct),
        "precision": "fp16, heatmaps fp32" if precision == "fp16" else precision,
        "batch": f"1 to {MAX_BATCH}",
        "target": TARGETS,
        "reconstructions": "yes" if reconstruct else "no",
    }


def collecting_logger(tensorrt: Any, severity: Any) -> Any:
    """A logger of TensorRT's that keeps messages of that severity and above in its list ``messages``."""

    class CollectingLogger(tensorrt.ILogger):  # type: ignore[misc]  # the module is known only at run time
        def __init__(self) -> None:
            tensorrt.ILogger.__init__(self)
            self.messages: list[str] = []

        def log(self, level: Any, message: str) -> None:
            if int(level) <= int(severity):  # the gravest is 0
                self.messages.append(message)

    return CollectingLogger()


def _compile(tensorrt: Any, onnx: bytes, size: int) -> tuple[bytes, list[str]]:
    """The engine, and all that the builder said."""
    logger = collecting_logger(tensorrt, tensorrt.ILogger.VERBOSE)
    builder = tensorrt.Builder(logger)
    # Strongly typed: every layer computes in the type that the graph says, which is where fp16 comes from.
    network = builder.create_network(1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = tensorrt.OnnxParser(network, logger)
    if not parser.parse(onnx):
        reason = parser.get_error(0).desc().splitlines()[0] if parser.num_errors else "no reason given"
        raise FewmarkError(f"backend {NAME}: TensorRT for RTX can't read the graph ({reason})")
    config = builder.create_builder_config()
    config.clear_flag(tensorrt.BuilderFlag.TF32)  # what is to be float32 is not to be rounded to 10 bits
    config.profiling_verbosity = tensorrt.ProfilingVerbosity.DETAILED
    profile = builder.create_optimization_profile()
    one, largest = (1, size, size, 3), (MAX_BATCH, size, size, 3)
    profile.set_shape("crops", one, one, largest)  # tuned for one face: live, every microsecond counts there
    config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        reason = logger.messages[-1] if logger.messages else "no reason given"
        raise FewmarkError(f"backend {NAME}: TensorRT for RTX can't build the engine ({reason.splitlines()[0]})")
    return bytes(plan), logger.messages


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "none"
