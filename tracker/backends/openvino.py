"""OpenVINO: the fastest path on a plain CPU. Normalisation, network and decoding are one compiled graph."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from models.checkpoint import FaceModel
from models.errors import FewmarkError
from models.face_network import FaceNetwork
from models.folding import fold_batch_norm
from models.heatmaps import collapse_heatmaps, decode_heatmaps
from tracker.backends.base import Prediction
from tracker.types import ImageArray

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
        self._openvino = _import_openvino()
        self._core = self._openvino.Core()
        self._size = model.network.config.input_size
        native = "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self.precision: OpenVinoPrecision = precision or ("bf16" if native else "f32")
        self._options: dict[str, str | int] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": self.precision,
            "INFERENCE_NUM_THREADS": threads or os.cpu_count() or 1,
        }
        self._network = fold_batch_norm(model.network)
        self._landmarks = self._compile(reconstruct=False)
        self._with_reconstruction: Any = None
        self.device = f"{self._core.get_property('CPU', 'FULL_DEVICE_NAME').strip()}, {self.precision}"

    def predict(
        self,
        crops: ImageArray,
        *,
        heatmaps: bool = False,
        heatmap_of: int | None = None,
        reconstructions: bool = False,
    ) -> Prediction:
        if reconstructions and self._with_reconstruction is None:
            self._with_reconstruction = self._compile(reconstruct=True)
        request = self._with_reconstruction if reconstructions else self._landmarks
        results = request.infer([crops, np.array([heatmap_of or 0], np.int64)])
        # The request's own output memory is written again by the next call.
        points, confidence, collapsed, of_one, *images = (np.array(results[i]) for i in range(len(results)))
        shown = collapsed if heatmap_of is None else of_one
        return Prediction(points, confidence, shown if heatmaps else None, images[0] if images else None)

    def close(self) -> None:
        """Nothing is held beyond the object itself."""

    def _compile(self, *, reconstruct: bool) -> Any:
        """An inference request for crops, any number of them, and the index of one landmark."""
        # Straight to the front end: openvino.convert_model would report its use to its maker.
        from openvino.frontend import FrontEndManager
        from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

        graph = _Graph(self._network, reconstruct=reconstruct)
        example = torch.zeros(2, self._size, self._size, 3, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64)
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tracing warns of shapes that become constants; ours are
            decoder = TorchScriptPythonDecoder(graph.eval(), example_input=example)
        front_end = FrontEndManager().load_by_framework("pytorch")
        model = front_end.convert(front_end.load(decoder))
        shape = self._openvino.PartialShape
        model.reshape({0: shape([-1, self._size, self._size, 3]), 1: shape([1])})
        prepared = self._openvino.preprocess.PrePostProcessor(model)
        prepared.input(0).tensor().set_element_type(self._openvino.Type.u8)
        compiled = self._core.compile_model(prepared.build(), "CPU", self._options)
        return compiled.create_infer_request()


def _import_openvino() -> Any:
    # As if its telemetry were not installed: on every import it would report to its maker, and keep a thread for it.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError as error:
        raise FewmarkError("backend openvino: not installed; pip install 'fewmark[openvino]'") from error
    return openvino


class _Graph(nn.Module):
    """All that ``predict`` may be asked for; landmarks and reconstruction share the encoder.

    (B, S, S, 3) uint8 crops and a landmark's index (1,) to points, confidences, heatmaps (B, h, h) of all landmarks and
    of that one, and with ``reconstruct`` (B, S, S, 3) uint8.
    """

    def __init__(self, network: FaceNetwork, *, reconstruct: bool) -> None:
        super().__init__()
        self.network, self.reconstruct = network, reconstruct

    def forward(self, crops: Tensor, landmark: Tensor) -> tuple[Tensor, ...]:
        network, config = self.network, self.network.config
        images = crops.permute(0, 3, 1, 2).float() / 255
        features = network.encoder.features(images - network.channel_mean)
        maps = network.head(network.decoder, features)
        decoded = decode_heatmaps(maps, config.input_size, kind=config.heatmap_kind)
        collapsed, of_one = (
            collapse_heatmaps(shown, config.heatmap_kind) for shown in (maps, maps.index_select(1, landmark))
        )
        if not self.reconstruct:
            return decoded.points, decoded.confidence, collapsed, of_one
        reconstruction = network.decode(features.z).mul(255).round().permute(0, 2, 3, 1).to(torch.uint8)
        return decoded.points, decoded.confidence, collapsed, of_one, reconstruction
