"""CUDA graphs: half precision on an NVIDIA GPU, recorded once a batch size and launched as a whole.

Legend: B crops of a batch, n of them real, K landmarks, S crop side, h heatmap side.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.errors import FewmarkError
from models.files.model_file import FaceModel
from tracker.backends.base import LANDMARKS_ONLY, Prediction, PredictionRequest
from tracker.backends.graph import CropGraph
from tracker.backends.nvidia import why_no_cuda
from tracker.types import ImageArray

BATCHES = (1, 2, 4, 8)  # what is recorded: a batch is filled up to the next of them; larger ones go in chunks
_WARM_UPS = 3  # runs before the recording, in which cuDNN tries its algorithms and allocates their workspaces

# (B, S, S, 3) uint8 and a landmark's index (1,) int64, on the GPU, to tensors on the GPU by their names.
Recordable = Callable[[Tensor, Tensor], dict[str, Tensor]]


class CudaGraphsBackend:
    """The landmark path is recorded at the start; heatmaps and reconstructions on their first request.

    Normalisation and decoding run in float32, the network in float16 with channels last.
    """

    name = "cuda_graphs"

    def __init__(self, model: FaceModel) -> None:
        """
        Raises:
            FewmarkError: torch does not compute on an NVIDIA GPU here.
        """
        if reason := why_no_cuda():
            raise FewmarkError(f"backend {self.name}: {reason}")
        self._model = model
        self._gpu = torch.device("cuda", torch.cuda.current_device())
        self.device = f"{torch.cuda.get_device_name(self._gpu)}, fp16"
        self._size = model.network.config.input_size
        self._graphs: dict[bool, CropGraph] = {}  # without and with the reconstruction
        self._batches: dict[tuple[int, bool, bool], _RecordedBatch] = {}
        self._stream = torch.cuda.Stream(self._gpu)
        self._pool = torch.cuda.graph_pool_handle()  # one for all: they never run at the same time
        for batch in reversed(BATCHES):  # the largest first, in whose memory the others find room
            self._recorded(batch, heatmaps=False, reconstruct=False)

    def predict(self, crops: ImageArray, request: PredictionRequest = LANDMARKS_ONLY) -> Prediction:
        parts = []
        for start in range(0, len(crops), BATCHES[-1]):
            chunk = crops[start : start + BATCHES[-1]]
            batch = next(size for size in BATCHES if size >= len(chunk))
            recorded = self._recorded(batch, heatmaps=request.heatmaps, reconstruct=request.reconstructions)
            found = recorded.replay(chunk, request.heatmap_of or 0)
            shown = found.get("heatmaps" if request.heatmap_of is None else "landmark_heatmaps")
            parts.append(Prediction(found["points"], found["confidence"], shown, found.get("reconstructions")))
        return parts[0] if len(parts) == 1 else _joined(parts)

    def close(self) -> None:
        self._batches.clear()
        self._graphs.clear()

    def _recorded(self, batch: int, *, heatmaps: bool, reconstruct: bool) -> _RecordedBatch:
        key = batch, heatmaps, reconstruct
        if key not in self._batches:
            run = self._recordable(batch, heatmaps=heatmaps, reconstruct=reconstruct)
            self._batches[key] = _RecordedBatch(run, batch, self._size, self._stream, self._pool)
        return self._batches[key]

    def _recordable(self, batch: int, *, heatmaps: bool, reconstruct: bool) -> Recordable:
        """What is recorded for a batch size."""
        graph = self._graph(reconstruct=reconstruct)

        def run(crops: Tensor, landmark: Tensor) -> dict[str, Tensor]:
            graph.heatmaps = heatmaps
            return dict(zip(graph.output_names(landmark=True), graph(crops, landmark), strict=True))

        return run

    def _graph(self, *, reconstruct: bool) -> CropGraph:
        if reconstruct not in self._graphs:
            graph = CropGraph(self._model, reconstruct=reconstruct, dtype=torch.float16).to(self._gpu)
            self._graphs[reconstruct] = graph.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return self._graphs[reconstruct]


class _RecordedBatch:
    """One batch size. All buffers are made here: a replay only copies into them and out of them."""

    @torch.inference_mode()
    def __init__(self, run: Recordable, batch: int, size: int, stream: torch.cuda.Stream, pool: Any) -> None:
        gpu, shape = stream.device, (batch, size, size, 3)
        self._stream = stream
        self._crops = torch.zeros(shape, dtype=torch.uint8, device=gpu)
        self._landmark = torch.zeros(1, dtype=torch.int64, device=gpu)
        self._host_crops = torch.zeros(shape, dtype=torch.uint8, pin_memory=True)
        self._recording = torch.cuda.CUDAGraph()
        stream.wait_stream(torch.cuda.current_stream(gpu))  # on which weights and buffers were made
        with torch.backends.cudnn.flags(enabled=True, benchmark=True):
            with torch.cuda.stream(stream):
                for _ in range(_WARM_UPS):
                    found = run(self._crops, self._landmark)
                stream.synchronize()
            # Pinned memory can't be allocated while a graph is recorded.
            self._host = {name: torch.zeros_like(t, device="cpu").pin_memory() for name, t in found.items()}
            del found
            # Another thread may run another backend meanwhile: what it does must not spoil the recording.
            with torch.cuda.graph(self._recording, pool=pool, stream=stream, capture_error_mode="thread_local"):
                self._found = run(self._crops, self._landmark)

    @torch.inference_mode()
    def replay(self, crops: ImageArray, landmark: int) -> dict[str, NDArray[Any]]:
        """The outputs by their names for (n, S, S, 3) uint8 crops, n <= B; the caller's own."""
        count = len(crops)
        self._host_crops[:count].numpy()[...] = crops
        with torch.cuda.stream(self._stream):
            self._crops[:count].copy_(self._host_crops[:count], non_blocking=True)
            self._landmark.fill_(landmark)
            self._recording.replay()
            for name, found in self._found.items():
                self._host[name].copy_(found, non_blocking=True)
        self._stream.synchronize()
        return {name: np.array(host[:count].numpy()) for name, host in self._host.items()}


def _joined(parts: list[Prediction]) -> Prediction:
    """One batch out of several."""

    def join(arrays: list[NDArray[Any] | None]) -> Any:
        present = [array for array in arrays if array is not None]
        return np.concatenate(present) if present else None

    return Prediction(
        points=join([part.points for part in parts]),
        confidence=join([part.confidence for part in parts]),
        heatmaps=join([part.heatmaps for part in parts]),
        reconstructions=join([part.reconstructions for part in parts]),
    )
