"""An engine on the GPU: memory, stream and kernels. Talks to CUDA through NVIDIA's own bindings, not through torch.

Legend: n crops of a batch, S crop side.
"""

from __future__ import annotations

import ctypes
import logging
import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import FewmarkError
from tracker.backends.nvidia import driver_version
from tracker.backends.tensorrt_rtx.build import MAX_BATCH, NAME, TARGETS, collecting_logger, import_tensorrt_rtx
from tracker.types import ImageArray

_log = logging.getLogger(__name__)


def usable_gpu() -> str:
    """The name of the GPU that engines run on.

    Raises:
        FewmarkError: no NVIDIA driver, no GPU, no extra, or a GPU that TensorRT for RTX has no code for.
    """
    if driver_version() is None:  # first: without one, the extra would be of no help
        raise FewmarkError(f"backend {NAME}: no NVIDIA driver; it needs an NVIDIA card of {TARGETS}")
    tensorrt, cuda = import_tensorrt_rtx(), _import_cuda()
    error, count = cuda.cudaGetDeviceCount()
    if error != cuda.cudaError_t.cudaSuccess or not count:
        reason = "no GPU" if error == cuda.cudaError_t.cudaSuccess else _text(cuda, error)
        raise FewmarkError(f"backend {NAME}: the NVIDIA driver (CUDA {driver_version()}) offers nothing: {reason}")
    facts = _checked(cuda, cuda.cudaGetDeviceProperties(0))
    name: str = facts.name.decode(errors="replace").rstrip("\0")
    if facts.major < 8 or f"SM{facts.major}{facts.minor}" not in tensorrt.ComputeCapability.__members__:
        raise FewmarkError(
            f"backend {NAME}: {name} has compute capability {facts.major}.{facts.minor}; it needs {TARGETS}"
        )
    return name


class EngineRunner:
    """All memory is taken at the start, for the largest batch: a run only copies into it and out of it.

    One thread at a time.
    """

    def __init__(self, plan: bytes, kernels: Path) -> None:
        """
        Args:
            plan: the serialised engine.
            kernels: where the kernels that the runtime makes for this card are kept; need not exist yet.

        Raises:
            FewmarkError: the engine does not fit this machine, or there is too little memory on the GPU.
        """
        tensorrt, self._cuda = import_tensorrt_rtx(), _import_cuda()
        logger = collecting_logger(tensorrt, tensorrt.ILogger.ERROR)
        self._runtime = tensorrt.Runtime(logger)
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise FewmarkError(f"backend {NAME}: the engine is of no use here ({' '.join(logger.messages[:1])})")
        self._kernels = kernels
        config = self._engine.create_runtime_config()
        config.cuda_graph_strategy = tensorrt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        self._kernel_cache = config.create_runtime_cache()
        if kernels.is_file():
            self._kernel_cache.deserialize(kernels.read_bytes())  # refuses what is damaged or of another card
        config.set_runtime_cache(self._kernel_cache)
        self._context = self._engine.create_execution_context(config)
        if self._context is None:
            raise FewmarkError(f"backend {NAME}: the engine does not start ({' '.join(logger.messages[:1])})")
        self._stream = self._check(self._cuda.cudaStreamCreateWithFlags(self._cuda.cudaStreamNonBlocking))
        self._device: dict[str, int] = {}  # tensor's name -> address on the GPU
        self._host: dict[str, NDArray[Any]] = {}  # tensor's name -> pinned memory, MAX_BATCH long where it is a batch
        try:
            for index in range(self._engine.num_io_tensors):
                self._allocate(tensorrt, self._engine.get_tensor_name(index))
        except FewmarkError:
            self.close()
            raise

    def run(self, crops: ImageArray, landmark: int, wanted: tuple[str, ...]) -> dict[str, NDArray[Any]]:
        """The wanted outputs by their names, the caller's own.

        Args:
            crops: (n, S, S, 3) uint8, n from 1 to ``MAX_BATCH``.
            landmark: index of the one whose heatmaps are ``landmark_heatmaps``.
        """
        count = len(crops)
        self._context.set_input_shape("crops", crops.shape)
        self._host["crops"][:count] = crops
        self._host["landmark"][0] = landmark
        kinds = self._cuda.cudaMemcpyKind
        for name, part in (("crops", self._host["crops"][:count]), ("landmark", self._host["landmark"])):
            self._copy(self._device[name], part.ctypes.data, part.nbytes, kinds.cudaMemcpyHostToDevice)
        if not self._context.execute_async_v3(int(self._stream)):
            raise RuntimeError("TensorRT for RTX did not run the engine")
        found = {name: self._host[name][:count] for name in wanted}
        for name, part in found.items():
            self._copy(part.ctypes.data, self._device[name], part.nbytes, kinds.cudaMemcpyDeviceToHost)
        self._check(self._cuda.cudaStreamSynchronize(self._stream))
        return {name: part.copy() for name, part in found.items()}

    def close(self) -> None:
        """Keeps the kernels that were made, and frees all memory; may be called twice."""
        if self._context is None:
            return
        self._check(self._cuda.cudaStreamSynchronize(self._stream))
        self._store_kernels()
        self._context = self._engine = self._runtime = None
        for address in self._device.values():
            self._check(self._cuda.cudaFree(address))
        for array in self._host.values():
            self._check(self._cuda.cudaFreeHost(array.ctypes.data))
        self._device.clear()
        self._host.clear()
        self._check(self._cuda.cudaStreamDestroy(self._stream))

    def _allocate(self, tensorrt: Any, name: str) -> None:
        shape = tuple(MAX_BATCH if side == -1 else side for side in self._engine.get_tensor_shape(name))
        dtype = np.dtype(tensorrt.nptype(self._engine.get_tensor_dtype(name)))
        size = math.prod(shape) * dtype.itemsize
        self._device[name] = int(self._check(self._cuda.cudaMalloc(size)))
        pinned = int(self._check(self._cuda.cudaMallocHost(size)))
        memory = (ctypes.c_uint8 * size).from_address(pinned)
        self._host[name] = np.frombuffer(memory, dtype).reshape(shape)
        self._context.set_tensor_address(name, self._device[name])

    def _copy(self, to: int, source: int, size: int, kind: Any) -> None:
        self._check(self._cuda.cudaMemcpyAsync(to, source, size, kind, self._stream))

    def _store_kernels(self) -> None:
        """Whole or not at all."""
        try:
            with tempfile.TemporaryDirectory(dir=self._kernels.parent, ignore_cleanup_errors=True) as scratch:
                written = Path(scratch) / self._kernels.name
                written.write_bytes(bytes(self._kernel_cache.serialize()))
                written.replace(self._kernels)
        except OSError as error:  # costs the next start some seconds, and nothing else
            _log.warning("%s: can't be written (%s)", self._kernels, error.strerror)

    def _check(self, answer: tuple[Any, ...]) -> Any:
        return _checked(self._cuda, answer)


def _import_cuda() -> Any:
    try:
        from cuda.bindings import runtime
    except ImportError as error:
        raise FewmarkError(
            f"backend {NAME}: CUDA's bindings are not installed ({error}); pip install 'fewmark[tensorrt-rtx]'"
        ) from error
    return runtime


def _checked(cuda: Any, answer: tuple[Any, ...]) -> Any:
    """What a call of CUDA returned beside its error code.

    Raises:
        FewmarkError: it failed.
    """
    error, *values = answer
    if error != cuda.cudaError_t.cudaSuccess:
        raise FewmarkError(f"backend {NAME}: CUDA says: {_text(cuda, error)}")
    return values[0] if values else None


def _text(cuda: Any, error: Any) -> str:
    return str(cuda.cudaGetErrorString(error)[1].decode())
