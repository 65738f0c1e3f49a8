"""OpenVINO files (``.xml`` with its weights in a ``.bin``), and OpenVINO to check them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.files.model_file import FaceModel
from tracker.backends.graph import CropGraph
from tracker.backends.openvino import openvino_graph
from tracker.export.metadata import export_metadata
from tracker.machine.openvino_import import import_openvino
from tracker.types import ImageArray

_SECTION = "fewmark"  # of the file's rt_info, where the metadata stands


def write_openvino(model: FaceModel, graph: CropGraph, path: Path) -> None:
    """The graph with its metadata, in float32.

    Raises:
        FewmarkError: the extra is missing.
        OSError: the files can't be written.
    """
    openvino = import_openvino()
    converted = openvino_graph(graph)
    converted.set_friendly_name(model.name)
    for key, value in export_metadata(model).items():
        converted.set_rt_info(value, [_SECTION, key])
    openvino.serialize(converted, path, path.with_suffix(".bin"))


def run_openvino(path: Path, batches: list[ImageArray]) -> list[dict[str, NDArray[Any]]]:
    """The outputs of a file by their names, batch by batch, computed in float32."""
    core = import_openvino().Core()
    model = core.read_model(path)
    names = [output.get_any_name() for output in model.outputs]
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})  # knows outputs by further names
    return [{name: np.array(found[name]) for name in names} for found in (compiled({"crops": c}) for c in batches)]
