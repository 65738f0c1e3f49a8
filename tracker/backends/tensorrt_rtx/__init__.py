"""TensorRT for RTX: desktop NVIDIA cards in half precision, without the CUDA build of torch.

An engine is built ahead of time from the model's graph in ONNX, on any machine, and holds for every supported card; the
last step, from the engine to kernels of the card at hand, is the runtime's, whose kernels are kept on disk as well.
"""

from __future__ import annotations

from tracker.backends.tensorrt_rtx.backend import TensorRtRtxBackend
from tracker.backends.tensorrt_rtx.build import BuiltEngine, Precision, compile_engine, engine_key
from tracker.backends.tensorrt_rtx.inspection import EngineDescription, EngineLayer, EngineTensor

__all__ = [
    "BuiltEngine",
    "EngineDescription",
    "EngineLayer",
    "EngineTensor",
    "Precision",
    "TensorRtRtxBackend",
    "compile_engine",
    "engine_key",
]
