"""OpenVINO: the fastest path on a plain CPU. Normalisation, network and decoding are one compiled graph."""

from __future__ import annotations

import os
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
        try:
            import openvino
        except ImportError as error:
            raise FewmarkError("backend openvino: not installed; pip install 'fewmark[openvino]'") from error
        self._openvino = openvino
        self._core = openvino.Core()
        self._size = model.network.config.input_size
        native = "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self.precision: OpenVinoPrecision = precision or ("bf16" if native else "f32")
        self._options: dict[str, str | int] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": self.precision,
            "INFERENCE_NUM_THREADS": threads or os.cpu_count() or 1,
        }
        self._network = fold_batch_norm(model.network)
        self._landmarks = self._compile(_LandmarkGraph(self._network))
        self._reconstruction: Any = None
        self.device = f"{self._core.get_property('CPU', 'FULL_DEVICE_NAME').strip()}, {self.precision}"

    def predict(self, crops: ImageArray, *, heatmaps: bool = False, reconstructions: bool = False) -> Prediction:
        points, confidence, collapsed = self._run(self._landmarks, crops)
        images = None
        if reconstructions:
            if self._reconstruction is None:
                self._reconstruction = self._compile(_ReconstructionGraph(self._network))
            (images,) = self._run(self._reconstruction, crops)
        return Prediction(points, confidence, collapsed if heatmaps else None, images)

    def close(self) -> None:
        """Nothing is held beyond the object itself."""

    def _run(self, request: Any, crops: ImageArray) -> list[Any]:
        results = request.infer([crops])
        # The request's own output memory is written again by the next call.
        return [np.array(results[i]) for i in range(len(results))]

    def _compile(self, graph: nn.Module) -> Any:
        """An inference request for a graph over (B, S, S, 3) uint8 crops, any B."""
        # Straight to the front end: openvino.convert_model would report its use to its maker.
        from openvino.frontend import FrontEndManager
        from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

        example = torch.zeros(2, self._size, self._size, 3, dtype=torch.uint8)
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tracing warns of shapes that become constants; ours are
            decoder = TorchScriptPythonDecoder(graph.eval(), example_input=example)
        front_end = FrontEndManager().load_by_framework("pytorch")
        model = front_end.convert(front_end.load(decoder))
        model.reshape([-1, self._size, self._size, 3])
        prepared = self._openvino.preprocess.PrePostProcessor(model)
        prepared.input().tensor().set_element_type(self._openvino.Type.u8)
        compiled = self._core.compile_model(prepared.build(), "CPU", self._options)
        return compiled.create_infer_request()


class _LandmarkGraph(nn.Module):
    def __init__(self, network: FaceNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        config = self.network.config
        maps = self.network(_normalised(crops))
        decoded = decode_heatmaps(maps, config.input_size, kind=config.heatmap_kind)
        return decoded.points, decoded.confidence, collapse_heatmaps(maps, config.heatmap_kind)


class _ReconstructionGraph(nn.Module):
    def __init__(self, network: FaceNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, crops: Tensor) -> Tensor:
        images = self.network.reconstruct(_normalised(crops))
        return images.mul(255).round().permute(0, 2, 3, 1).to(torch.uint8)


def _normalised(crops: Tensor) -> Tensor:
    return crops.permute(0, 3, 1, 2).float() / 255
