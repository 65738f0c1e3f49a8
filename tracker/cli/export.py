"""``fewmark export`` and ``fewmark build-engine``: models for other programs, and engines ahead of time."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.errors import FewmarkError
from tracker.cli.console import emit, err, out, say

if TYPE_CHECKING:
    from models.files.model_file import FaceModel
    from tracker.backends.tensorrt_rtx import BuiltEngine

_Model = Annotated[str, typer.Argument(metavar="MODEL", help="A shipped model by name, or a model file.")]


def export(
    model: _Model,
    file_format: Annotated[str, typer.Option("--format", help="onnx or openvino.")] = "onnx",
    output: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Default <model>.onnx or <model>.xml.")
    ] = None,
    heatmaps: Annotated[bool, typer.Option("--heatmaps", help="Also give heatmaps, of all landmarks in one.")] = False,
    reconstruction: Annotated[
        bool, typer.Option("--reconstruction", help="Also give the reconstruction; not every model makes one.")
    ] = False,
) -> None:
    """Write a model as one file for other programs: crops in, points and confidences out.

    The file says of itself how to cut crops and what its landmarks are called. It is checked against the model on real
    crops; a file that fails is not kept.
    """
    from models.registry import open_model
    from tracker.export import FORMATS, export_model

    if file_format not in FORMATS:
        raise FewmarkError(f"format {file_format!r} is unknown; choose one of {', '.join(FORMATS)}")
    opened = open_model(model)
    target = output or Path(f"{opened.name}{FORMATS[file_format].suffix}")
    with err.status(f"exporting {opened.name} and checking it"):
        report = export_model(opened, target, file_format, heatmaps=heatmaps, reconstruct=reconstruction)
    say(
        f"checked with {report.checked_with} on {report.crops} crops: points within {report.point_deviation:.1g} px of "
        f"the model's own, confidences within {report.confidence_deviation:.1g}"
    )
    for path in report.paths:
        emit(str(path.resolve()))


def build_engine(
    model: _Model,
    backend: Annotated[str, typer.Option(metavar="NAME", help="tensorrt_rtx or tensorrt.")] = "tensorrt_rtx",
    precision: Annotated[str, typer.Option(help="Of tensorrt_rtx: fp16, which the tracker runs, or fp32.")] = "fp16",
    output: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Of tensorrt_rtx: a file, in place of the tracker's cache."),
    ] = None,
) -> None:
    """Build a model's engine ahead of time, so that the tracker finds it at once.

    That of tensorrt_rtx needs no GPU and holds for every card that TensorRT for RTX supports; that of tensorrt is built
    on the card that it is for.
    """
    from models.registry import open_model

    opened = open_model(model)
    if backend == "tensorrt_rtx":
        _build_rtx(opened, precision, output)
    elif backend == "tensorrt":
        if precision != "fp16" or output is not None:
            raise FewmarkError(
                "--precision and --out are for tensorrt_rtx; the engine of tensorrt is fp16, in the cache"
            )
        _build_tensorrt(opened)
    else:
        raise FewmarkError(f"backend {backend!r} has no engines; choose tensorrt_rtx or tensorrt")


def _build_rtx(model: FaceModel, precision: str, output: Path | None) -> None:
    from tracker.backends.engine_cache import store_engine
    from tracker.backends.tensorrt_rtx import compile_engine, engine_key
    from tracker.backends.tensorrt_rtx.build import PRECISIONS

    chosen = next((known for known in PRECISIONS if known == precision), None)
    if chosen is None:
        raise FewmarkError(f"precision {precision!r} is unknown; choose one of {', '.join(PRECISIONS)}")
    if output is None and chosen != "fp16":
        raise FewmarkError("the tracker runs fp16 alone: name a file with --out for an engine in fp32")
    # A file holds all that can be asked for; the tracker has an engine more for reconstructions.
    for reconstruct in [model.reconstructs] if output else [False, True] if model.reconstructs else [False]:
        with err.status(f"building {model.name}") as status:
            built = compile_engine(
                model,
                precision=chosen,
                reconstruct=reconstruct,
                report=lambda step: status.update(f"building {model.name}: {step}"),
            )
        _describe(built)
        if output is None:
            path = store_engine(engine_key(model, reconstruct=reconstruct), built.plan)
        else:
            path = output
            _write(path, built.plan)
        emit(str(path.resolve()))


def _build_tensorrt(model: FaceModel) -> None:
    from tracker.backends.tensorrt import TensorRtBackend

    with err.status(f"building {model.name}") as status:
        backend = TensorRtBackend(model, report=lambda progress: status.update(f"{model.name}: {progress}"))
    say(f"model {model.name}: the engine for {backend.device} is in the cache")
    backend.close()


def _describe(built: BuiltEngine) -> None:
    from rich.table import Table

    description = built.description
    table = Table("layers", "of kind", "weights", title=f"{len(description.layers)} layers, {built.precision}")
    kinds = Counter(
        (layer.kind, ", ".join(sorted({t.datatype for t in layer.weights}))) for layer in description.layers
    )
    for (kind, datatypes), count in kinds.most_common():
        table.add_row(str(count), kind, datatypes)
    out.print(table)
    ends = ", ".join(f"{tensor.name} {tensor.datatype}" for tensor in (*description.inputs, *description.outputs))
    least, most = description.batch
    say(f"batches of {least} to {most} crops, {len(built.plan) / 1e6:.1f} MB; {ends}")


def _write(path: Path, contents: bytes) -> None:
    """The file whole or not at all."""
    partial = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(contents)
        partial.replace(path)
    except OSError as error:
        raise FewmarkError(
            f"{path}: can't be written ({error.strerror}); choose another place, or make room"
        ) from error
