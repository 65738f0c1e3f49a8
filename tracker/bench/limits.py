"""How fast this machine could be at best: what a network has to compute and to read, over what the machine can do."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from models.files.model_file import FaceModel
from models.surgery.folding import fold_batch_norm
from tracker.backends.base import Backend
from tracker.backends.eager import best_device
from tracker.backends.openvino import OpenVinoBackend

Place = tuple[str, torch.dtype]  # torch's device and the number format of the network
_MATRIX = {"cpu": 1024, "mps": 4096, "cuda": 8192}  # side; large enough that the arithmetic units are busy throughout
_COPIED_BYTES = {"cpu": 128 << 20, "mps": 512 << 20, "cuda": 1 << 30}  # beyond any cache
_ROUND_S = 0.3  # of measuring each of the two in a round


@dataclass(frozen=True, slots=True)
class ModelCost:
    """What one face costs, whatever computes it."""

    model: str
    flops: int  # floating-point operations of the landmark path: two a multiply-accumulate (torch's FlopCounterMode)
    parameters: int  # that take part
    io_values: int  # uint8 of a crop; points and confidences count four each


@dataclass(frozen=True, slots=True)
class Peak:
    """The best that PyTorch reached on a device, in all rounds."""

    device: str  # of torch
    dtype: str  # "float32"
    tflops: float  # 1e12 floating-point operations/s, in products of large square matrices
    copy_gb_per_s: float  # 1e9 bytes/s, read and written, when copying memory


class PeakMeter:
    """Measures a device's peak, a bit in every round, so that it has seen the same machine as the rest of the run."""

    def __init__(self, device: str, dtype: torch.dtype) -> None:
        self._device, self._dtype = torch.device(device), dtype
        side, size = _MATRIX[self._device.type], _COPIED_BYTES[self._device.type]
        self._a, self._b = (torch.rand(side, side, device=device).to(dtype) for _ in range(2))
        self._from = torch.zeros(size, dtype=torch.uint8, device=device)
        self._to = torch.empty_like(self._from)
        self._flops_per_s = self._bytes_per_s = 0.0

    def run(self) -> None:
        """One round."""
        side = self._a.shape[0]
        product = torch.empty_like(self._a)
        with torch.inference_mode():
            seconds = self._best_s(lambda: torch.mm(self._a, self._b, out=product))
            self._flops_per_s = max(self._flops_per_s, 2 * side**3 / seconds)
            seconds = self._best_s(lambda: self._to.copy_(self._from))
            self._bytes_per_s = max(self._bytes_per_s, 2 * self._from.numel() / seconds)

    def peak(self) -> Peak:
        """After one round at least."""
        dtype = str(self._dtype).removeprefix("torch.")
        return Peak(str(self._device), dtype, round(self._flops_per_s / 1e12, 4), round(self._bytes_per_s / 1e9, 2))

    def _best_s(self, work: Callable[[], object]) -> float:
        best, end = float("inf"), time.perf_counter() + _ROUND_S
        while time.perf_counter() < end:
            start = time.perf_counter()
            work()
            if self._device.type == "cuda":
                torch.cuda.synchronize()
            elif self._device.type == "mps":
                torch.mps.synchronize()
            best = min(best, time.perf_counter() - start)
        return best


def model_cost(model: FaceModel) -> ModelCost:
    """Counts what the landmark path computes and reads for one face, batch normalisation folded."""
    network, size = fold_batch_norm(model.network), model.network.config.input_size
    image = torch.zeros(1, 3, size, size)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(image)
    for parameter in network.parameters():
        parameter.requires_grad_(True)
    network(image).sum().backward()  # what gets no gradient took no part, such as the decoder's way to RGB
    parameters = sum(parameter.numel() for parameter in network.parameters() if parameter.grad is not None)
    values = 3 * size * size + 4 * 3 * model.scheme.num_points
    return ModelCost(model.name, counter.get_total_flops(), parameters, values)


def shortest_ms(cost: ModelCost, peak: Peak, batch: int) -> float:
    """Milliseconds below which a batch can't fall: arithmetic at its peak, or weights and crops read once.

    Intermediate results count as staying in the caches, and Winograd's way of saving multiplications is not
    considered: an implementation that uses it may come closer than the share of the limit says, or beyond it.
    """
    weight_bytes = cost.parameters * torch.empty(0, dtype=getattr(torch, peak.dtype)).element_size()
    compute_s = batch * cost.flops / (peak.tflops * 1e12)
    memory_s = (weight_bytes + batch * cost.io_values) / (peak.copy_gb_per_s * 1e9)
    return 1000 * max(compute_s, memory_s)


def computes_on(backend: Backend) -> Place | None:
    """Where and in what the network is computed; None where PyTorch can't measure what it computes on."""
    if backend.name == "eager":
        return best_device(), torch.float32
    if isinstance(backend, OpenVinoBackend):
        dtype = {"f32": torch.float32, "bf16": torch.bfloat16}.get(backend.precision)
        return None if dtype is None else ("cpu", dtype)
    return ("cuda", torch.float16) if torch.cuda.is_available() else None
