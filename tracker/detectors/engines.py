"""What runs a detector's ONNX file: OpenVINO where it is installed, else OpenCV, which always is."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from models.errors import FewmarkError
from tracker.machine.openvino_import import import_openvino
from tracker.types import FloatArray

# (1, 3, H, W) float32 -> the outputs that were named; they are valid until the next call
Engine = Callable[[FloatArray], Sequence[FloatArray]]


def open_engine(path: Path, outputs: Sequence[str]) -> Engine:
    """The fastest engine that is installed, for images of any size.

    CenterFace on two cores, 640x480 px: OpenVINO 25 ms (in float32), OpenCV 46 ms; ONNX Runtime, at 91 ms, is no gain.
    """
    try:
        return _openvino(path, outputs)
    except FewmarkError:
        return _opencv(path, outputs)


def _openvino(path: Path, outputs: Sequence[str]) -> Engine:
    core = import_openvino().Core()
    network = core.read_model(path)
    network.reshape([1, 3, -1, -1])  # the file's own shape is that of an example
    native = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": os.cpu_count() or 1,
        # Half the time where the processor computes in it; boxes differ by less than the network refines them.
        "INFERENCE_PRECISION_HINT": "bf16" if native else "f32",
        # A thread that is tied to a core waits for whatever else runs there.
        "ENABLE_CPU_PINNING": False,
    }
    request = core.compile_model(network, "CPU", options).create_infer_request()

    def run(images: FloatArray) -> Sequence[FloatArray]:
        request.infer([images])
        return [request.get_tensor(name).data for name in outputs]

    return run


def _opencv(path: Path, outputs: Sequence[str]) -> Engine:
    network = cv2.dnn.readNetFromONNX(str(path))

    def run(images: FloatArray) -> Sequence[FloatArray]:
        network.setInput(images)
        return [np.asarray(output, np.float32) for output in network.forward(list(outputs))]

    return run
