"""ONNX files, and ONNX Runtime to check them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from models.errors import FewmarkError
from models.files.model_file import FaceModel
from tracker.backends.graph import CropGraph
from tracker.backends.onnx_graph import onnx_graph
from tracker.export.metadata import export_metadata
from tracker.types import ImageArray
from tracker.version import fewmark_version


def write_onnx(model: FaceModel, graph: CropGraph, path: Path) -> None:
    """The graph with its metadata.

    Raises:
        FewmarkError: the extra is missing.
        OSError: the file can't be written.
    """
    _import_onnxruntime()  # before the work is done
    proto = onnx_graph(graph)
    proto.producer_name, proto.producer_version = "fewmark", fewmark_version()
    proto.graph.name = model.name
    del proto.metadata_props[:]
    for key, value in export_metadata(model).items():
        proto.metadata_props.add(key=key, value=value)
    path.write_bytes(proto.SerializeToString())


def run_onnx(path: Path, batches: list[ImageArray]) -> list[dict[str, NDArray[Any]]]:
    """The outputs of a file by their names, batch by batch.

    Raises:
        FewmarkError: the extra is missing.
    """
    session = _import_onnxruntime().InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return [dict(zip(names, session.run(names, {"crops": crops}), strict=True)) for crops in batches]


def _import_onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise FewmarkError("ONNX Runtime is not installed; pip install 'fewmark[export]'") from error
    onnxruntime.disable_telemetry_events()  # its builds for Windows report to their maker
    return onnxruntime
