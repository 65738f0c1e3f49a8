"""``export_model``: written into a folder of its own, checked there, and only then put where the user wants it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import FewmarkError
from models.files.model_file import FaceModel
from tracker.backends.base import PredictionRequest
from tracker.backends.eager import EagerBackend
from tracker.backends.graph import CropGraph
from tracker.backends.self_test import self_test_crops
from tracker.export.onnx_file import run_onnx, write_onnx
from tracker.export.openvino_file import run_openvino, write_openvino
from tracker.types import ImageArray

MAX_POINT_DEVIATION = 1e-3  # of any landmark from eager, crop pixels
MAX_CONFIDENCE_DEVIATION = 1e-4
MAX_HEATMAP_DEVIATION = 1e-3  # of 0..1
MAX_COLOUR_DEVIATION = 1  # of 0..255: rounding may fall to either side

Outputs = dict[str, NDArray[Any]]  # by the names that the file gives them


@dataclass(frozen=True, slots=True)
class _Format:
    suffix: str
    write: Callable[[FaceModel, CropGraph, Path], None]
    run: Callable[[Path, list[ImageArray]], list[Outputs]]  # one session, several batches
    checked_with: str


FORMATS: dict[str, _Format] = {
    "onnx": _Format(".onnx", write_onnx, run_onnx, "ONNX Runtime"),
    "openvino": _Format(".xml", write_openvino, run_openvino, "OpenVINO"),
}


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written, and how far it is from eager in float32 on crops of the demo clip's face."""

    paths: tuple[Path, ...]  # the file to open comes first
    checked_with: str
    crops: int
    point_deviation: float  # largest, crop pixels
    confidence_deviation: float  # largest


def export_model(
    model: FaceModel,
    path: Path,
    file_format: str = "onnx",
    *,
    heatmaps: bool = False,
    reconstruct: bool = False,
) -> ExportReport:
    """Writes a model as one graph: uint8 crops in; points and calibrated confidences out, in float32.

    Args:
        path: of the file; a file that is there is replaced. OpenVINO puts its weights beside it, as ``.bin``.
        file_format: a key of ``FORMATS``.
        heatmaps: also give the collapsed heatmaps, (batch, h, h) float32.
        reconstruct: also give the reconstructions, (batch, S, S, 3) uint8.

    Raises:
        FewmarkError: unknown format or wrong suffix, an extra is missing, the model makes no reconstructions, the file
            can't be written, or it differs from eager: nothing is left then.
    """
    if file_format not in FORMATS:
        raise FewmarkError(f"format {file_format!r} is unknown; choose one of {', '.join(FORMATS)}")
    chosen = FORMATS[file_format]
    if path.suffix != chosen.suffix:
        raise FewmarkError(f"{path}: files of format {file_format} end in {chosen.suffix}; name it so")
    if reconstruct and (why := model.why_no_reconstruction):
        raise FewmarkError(f"{why}; leave it out, or choose another model")
    graph = CropGraph(model, heatmaps=heatmaps, reconstruct=reconstruct, publish=True)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".export-", dir=path.parent) as scratch:
            written = Path(scratch) / path.name
            chosen.write(model, graph, written)
            crops, points, confidence = _check(model, chosen, written)
            # Weights first: whoever sees the file to open finds all of it.
            found = sorted(Path(scratch).iterdir(), key=lambda file: file.name == path.name)
            for file in found:
                file.replace(path.parent / file.name)
    except OSError as error:
        raise FewmarkError(
            f"{path}: can't be written ({error.strerror}); choose another place, or make room"
        ) from error
    paths = tuple(path.parent / file.name for file in reversed(found))
    return ExportReport(paths, chosen.checked_with, crops, points, confidence)


def _check(model: FaceModel, chosen: _Format, path: Path) -> tuple[int, float, float]:
    """Number of crops, and the largest deviation of points and of confidences from eager.

    Raises:
        FewmarkError: the file says something else than eager.
    """
    crops = self_test_crops(model.network.config.input_size, model.crop_rule)
    together, alone = chosen.run(path, [crops, crops[:1]])
    request = PredictionRequest(heatmaps="heatmaps" in together, reconstructions="reconstructions" in together)
    wanted = EagerBackend(model, "cpu").predict(crops, request)
    expected = {
        "points": (model.as_labelled(wanted.points), MAX_POINT_DEVIATION),
        "confidence": (model.calibrated(wanted.confidence), MAX_CONFIDENCE_DEVIATION),
        "heatmaps": (wanted.heatmaps, MAX_HEATMAP_DEVIATION),
        "reconstructions": (wanted.reconstructions, MAX_COLOUR_DEVIATION),
    }
    largest = {}
    for name, found in together.items():
        truth, limit = expected[name]
        assert truth is not None
        both = np.concatenate([found, alone[name]]).astype(np.float64)
        largest[name] = float(np.abs(both - np.concatenate([truth, truth[:1]])).max())
        if not largest[name] <= limit:  # NaN is no agreement either
            raise FewmarkError(
                f"{path.name}: in {chosen.checked_with}, {name} differ by {largest[name]:.2g} from eager, more than "
                f"{limit:g}; the file was not kept. Another version of that package may do"
            )
    return len(crops), largest["points"], largest["confidence"]
