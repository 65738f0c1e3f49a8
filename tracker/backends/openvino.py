"""OpenVINO: the fastest path on a plain CPU.

Two graphs are compiled: normalisation and network, and what is read from the heatmaps, which stays in float32. As one
graph it would not: OpenVINO computes all of a graph in bf16 that comes before its last matrix product, and the decoding
has some. Landmarks would lie three times as far from where they belong.

Compiling takes a second or more, most of it for tracing the network: what came out is kept in the cache of engines.
"""

from __future__ import annotations

import io
import logging
import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from models.errors import FewmarkError
from models.files.model_file import FaceModel
from tracker.backends.base import LANDMARKS_ONLY, Prediction, PredictionRequest
from tracker.backends.engine_cache import (
    EngineKey,
    code_hash,
    drop_oldest,
    engine_path,
    load_engine,
    store_engine,
    weights_hash,
)
from tracker.backends.graph import CropGraph
from tracker.machine.openvino_import import import_openvino
from tracker.types import ImageArray

_CACHED = 12  # compiled graphs in the cache: three a model, of 24 to 60 MB but for one
_log = logging.getLogger(__name__)

OpenVinoPrecision = Literal["f32", "bf16"]
_Part = Literal["network", "decoding", "network and reconstruction"]
_RECONSTRUCTING: _Part = "network and reconstruction"


class OpenVinoBackend:
    """The landmark path is compiled at the start, the reconstruction on its first request."""

    name = "openvino"

    def __init__(
        self, model: FaceModel, *, precision: OpenVinoPrecision | None = None, threads: int | None = None
    ) -> None:
        """
        Args:
            precision: None takes bf16 where the processor computes in it, else f32.
            threads: of the inference; None takes one a core.

        Raises:
            FewmarkError: OpenVINO is not installed.
        """
        self._core = import_openvino().Core()
        native = "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self.precision: OpenVinoPrecision = precision or ("bf16" if native else "f32")
        self._options: dict[str, str | int] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads or os.cpu_count() or 1,
            # A thread that is tied to a core waits for whatever else runs there, such as the decoder and the encoder.
            "ENABLE_CPU_PINNING": False,
        }
        self._model, self._weights = model, weights_hash(model)
        self._network = self._compile("network")
        self._decoding = self._compile("decoding")
        self._with_reconstruction: Any = None
        self.device = f"{self._core.get_property('CPU', 'FULL_DEVICE_NAME').strip()}, {self.precision}"

    def predict(self, crops: ImageArray, request: PredictionRequest = LANDMARKS_ONLY) -> Prediction:
        network = self._reconstructing() if request.reconstructions else self._network
        network.infer([crops])
        maps = network.get_output_tensor(0)
        found = self._decoding.infer([maps, np.array([request.heatmap_of or 0], np.int64)])
        # OpenVINO's own output memory is written again by the next call.
        points, confidence, collapsed, of_one = (np.array(found[i]) for i in range(len(found)))
        shown = collapsed if request.heatmap_of is None else of_one
        images = np.array(network.get_output_tensor(1).data) if request.reconstructions else None
        return Prediction(points, confidence, shown if request.heatmaps else None, images)

    def close(self) -> None:
        """Nothing is held beyond the object itself."""

    def _reconstructing(self) -> Any:
        """An inference request for the network and the reconstruction, compiled the first time."""
        if self._with_reconstruction is None:
            self._with_reconstruction = self._compile(_RECONSTRUCTING)
        return self._with_reconstruction

    def _compile(self, part: _Part) -> Any:
        """An inference request for a part of the graph, any number of faces; from the cache, or new."""
        options = self._options | {"INFERENCE_PRECISION_HINT": "f32" if part == "decoding" else self.precision}
        key = {
            "backend": self.name,
            "part": part,
            "weights": weights_hash(self._model, reconstruct=True) if part == _RECONSTRUCTING else self._weights,
            "code": code_hash(_graph_of, network_graph, decoding_graph, _convert),
            "openvino": import_openvino().get_version(),
            "processor": self._core.get_property("CPU", "FULL_DEVICE_NAME"),
            "capabilities": " ".join(self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")),
            "options": str(sorted(options.items())),
        }
        compiled = self._from_cache(key, options)
        if compiled is None:
            compiled = self._core.compile_model(_graph_of(self._model, part), "CPU", options)
            try:
                store_engine(key, compiled.export_model().getvalue())
                drop_oldest(self.name, _CACHED)
            except (FewmarkError, RuntimeError) as error:  # no room, or not every processor's plugin exports
                _log.info("%s", error)
        return compiled.create_infer_request()

    def _from_cache(self, key: EngineKey, options: dict[str, str | int]) -> Any:
        """The compiled model that an earlier start left, or None."""
        if (engine := load_engine(key)) is None:
            return None
        try:
            return self._core.import_model(io.BytesIO(engine), "CPU", options)
        except RuntimeError as error:  # OpenVINO's own: what it wrote it does not always read
            _log.warning("backend openvino: %s can't be used, and is made again (%s)", engine_path(key), error)
            return None


def _graph_of(model: FaceModel, part: _Part) -> Any:
    if part == "decoding":
        return decoding_graph(CropGraph(model, heatmaps=True))
    return network_graph(CropGraph(model, reconstruct=part == _RECONSTRUCTING))


def openvino_graph(graph: CropGraph) -> Any:
    """The whole graph as an ``openvino.Model`` with a dynamic batch.

    Its input ``crops`` is (batch, S, S, 3) uint8; outputs are those of ``CropGraph.output_names``.

    Raises:
        FewmarkError: OpenVINO is not installed.
    """
    return _convert(graph, {"crops": _crops(graph)}, graph.output_names())


def network_graph(graph: CropGraph) -> Any:
    """Likewise ``CropGraph.see``: ``crops`` to ``heatmaps`` and, where it reconstructs, ``reconstruction``."""
    outputs = ("heatmaps", "reconstruction") if graph.reconstruct else ("heatmaps",)
    return _convert(graph.see, {"crops": _crops(graph)}, outputs)


def decoding_graph(graph: CropGraph) -> Any:
    """Likewise ``CropGraph.read``: ``heatmaps`` and ``landmark`` (1,) int64 to what ``forward`` returns of them."""
    config = graph.config
    inputs = {
        "heatmaps": torch.zeros(2, config.num_landmarks, config.heatmap_size, config.heatmap_size),
        "landmark": torch.zeros(1, dtype=torch.int64),
    }
    return _convert(lambda *given: tuple(graph.read(*given)), inputs, graph.output_names(landmark=True))


def _crops(graph: CropGraph) -> Tensor:
    size = graph.config.input_size
    return torch.zeros(2, size, size, 3, dtype=torch.uint8)


def _convert(function: Callable[..., tuple[Tensor, ...]], inputs: dict[str, Tensor], outputs: Sequence[str]) -> Any:
    """An ``openvino.Model`` of a function; of inputs with two faces as examples, the batch becomes dynamic."""
    openvino = import_openvino()
    # Straight to the front end: openvino.convert_model would report its use to its maker.
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing warns of shapes that become constants; ours are
        # A function instead of the module, and no second run to compare with: a third of the time.
        traced = torch.jit.trace(lambda *given: function(*given), tuple(inputs.values()), check_trace=False)
        decoder = TorchScriptPythonDecoder(traced)
    front_end = FrontEndManager().load_by_framework("pytorch")
    model = front_end.convert(front_end.load(decoder))
    shapes = (x.shape if len(x) == 1 else (-1, *x.shape[1:]) for x in inputs.values())
    model.reshape({i: openvino.PartialShape(list(shape)) for i, shape in enumerate(shapes)})
    kinds = {torch.uint8: openvino.Type.u8, torch.int64: openvino.Type.i64, torch.float32: openvino.Type.f32}
    prepared = openvino.preprocess.PrePostProcessor(model)
    for i, example in enumerate(inputs.values()):
        prepared.input(i).tensor().set_element_type(kinds[example.dtype])
    model = prepared.build()
    for end, name in (*zip(model.inputs, inputs, strict=True), *zip(model.outputs, outputs, strict=True)):
        end.get_tensor().set_names({name})
    return model
