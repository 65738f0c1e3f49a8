"""OpenVINO: the fastest path on a plain CPU. Normalisation, network and decoding are one compiled graph.

Compiling takes a second or more, most of it for tracing the network: what came out is kept in the cache of engines.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import warnings
from typing import Any, Literal

import numpy as np
import torch

from models.checkpoint import FaceModel
from models.errors import FewmarkError
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
from tracker.types import ImageArray

_CACHED = 8  # compiled models in the cache, 24 to 60 MB each
_log = logging.getLogger(__name__)

OpenVinoPrecision = Literal["f32", "bf16"]


class OpenVinoBackend:
    """The landmark path compiled at the start, the reconstruction on its first request."""

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
            "INFERENCE_PRECISION_HINT": self.precision,
            "INFERENCE_NUM_THREADS": threads or os.cpu_count() or 1,
            # A thread that is tied to a core waits for whatever else runs there, such as the decoder and the encoder.
            "ENABLE_CPU_PINNING": False,
        }
        self._model = model
        self._landmarks = self._compile(reconstruct=False)
        self._with_reconstruction: Any = None
        self.device = f"{self._core.get_property('CPU', 'FULL_DEVICE_NAME').strip()}, {self.precision}"

    def predict(self, crops: ImageArray, request: PredictionRequest = LANDMARKS_ONLY) -> Prediction:
        if request.reconstructions and self._with_reconstruction is None:
            self._with_reconstruction = self._compile(reconstruct=True)
        compiled = self._with_reconstruction if request.reconstructions else self._landmarks
        results = compiled.infer([crops, np.array([request.heatmap_of or 0], np.int64)])
        # OpenVINO's own output memory is written again by the next call.
        points, confidence, collapsed, of_one, *images = (np.array(results[i]) for i in range(len(results)))
        shown = collapsed if request.heatmap_of is None else of_one
        return Prediction(points, confidence, shown if request.heatmaps else None, images[0] if images else None)

    def close(self) -> None:
        """Nothing is held beyond the object itself."""

    def _compile(self, *, reconstruct: bool) -> Any:
        """An inference request for crops, any number of them, and the index of one landmark; from the cache, or new."""
        key = {
            "backend": self.name,
            "weights": weights_hash(self._model),
            "code": code_hash(openvino_graph),
            "openvino": import_openvino().get_version(),
            "processor": self._core.get_property("CPU", "FULL_DEVICE_NAME"),
            "capabilities": " ".join(self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")),
            "options": str(sorted(self._options.items())),
            "reconstruct": str(reconstruct),
        }
        compiled = self._from_cache(key)
        if compiled is None:
            graph = openvino_graph(CropGraph(self._model, heatmaps=True, reconstruct=reconstruct), landmark=True)
            compiled = self._core.compile_model(graph, "CPU", self._options)
            try:
                store_engine(key, compiled.export_model().getvalue())
                drop_oldest(self.name, _CACHED)
            except (FewmarkError, RuntimeError) as error:  # no room, or not every processor's plugin exports
                _log.info("%s", error)
        return compiled.create_infer_request()

    def _from_cache(self, key: EngineKey) -> Any:
        """The compiled model that an earlier start left, or None."""
        if (engine := load_engine(key)) is None:
            return None
        try:
            return self._core.import_model(io.BytesIO(engine), "CPU", self._options)
        except RuntimeError as error:  # OpenVINO's own: what it wrote it does not always read
            _log.warning("backend openvino: %s can't be used, and is made again (%s)", engine_path(key), error)
            return None


def openvino_graph(graph: CropGraph, *, landmark: bool = False) -> Any:
    """The graph as an ``openvino.Model`` with a dynamic batch.

    Inputs are ``crops`` (batch, S, S, 3) uint8 and with ``landmark`` also ``landmark`` (1,) int64; outputs are those of
    ``CropGraph.output_names``.

    Args:
        landmark: with the index of a landmark as a second input.

    Raises:
        FewmarkError: OpenVINO is not installed.
    """
    openvino = import_openvino()
    # Straight to the front end: openvino.convert_model would report its use to its maker.
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    size = graph.config.input_size
    example = torch.zeros(2, size, size, 3, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing warns of shapes that become constants; ours are
        # A function instead of the module, and no second run to compare with: a third of the time.
        traced = torch.jit.trace(
            lambda *inputs: graph(*inputs), example if landmark else example[:1], check_trace=False
        )
        decoder = TorchScriptPythonDecoder(traced)
    front_end = FrontEndManager().load_by_framework("pytorch")
    model = front_end.convert(front_end.load(decoder))
    shapes = {0: openvino.PartialShape([-1, size, size, 3]), 1: openvino.PartialShape([1])}
    model.reshape(shapes if landmark else {0: shapes[0]})
    prepared = openvino.preprocess.PrePostProcessor(model)
    prepared.input(0).tensor().set_element_type(openvino.Type.u8)
    model = prepared.build()
    inputs = ("crops", "landmark") if landmark else ("crops",)
    for end, name in (
        *zip(model.inputs, inputs, strict=True),
        *zip(model.outputs, graph.output_names(landmark=landmark), strict=True),
    ):
        end.get_tensor().set_names({name})
    return model


def import_openvino() -> Any:
    """The module, kept from telling its maker that it is used.

    Raises:
        FewmarkError: it is not installed.
    """
    # As if its telemetry were not installed: on every import it would report to its maker, and keep a thread for it.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError as error:
        raise FewmarkError("backend openvino: not installed; pip install 'fewmark[openvino]'") from error
    return openvino
