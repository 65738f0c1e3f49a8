"""``fewmark doctor`` and ``fewmark models``: what is here, and what would be used."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from models.errors import FewmarkError
from models.files.hashing import HASHES
from models.files.header import read_header
from tracker.cli.console import emit, fail, out
from tracker.version import fewmark_version

_PACKAGES = (
    "torch",
    "torch-tensorrt",
    "tensorrt-rtx",
    "openvino",
    "mediapipe",
    "opencv-contrib-python",
    "av",
    "numpy",
    "safetensors",
    "PyQt6",
)
_COLOURS = {"ok": "green", "note": "yellow", "missing": "bold red"}


def doctor(
    model_dir: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Folder with detector model files.")] = None,
) -> None:
    """Show versions, devices, models, cameras: what is used."""
    HASHES.keep_in(None)  # files are read, whatever is remembered of them
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row("Fewmark", fewmark_version())
    table.add_row("Python", f"{sys.version.split()[0]} on {platform.platform()}")
    for package in _PACKAGES:
        table.add_row(package, _version(package))
    out.print(table)

    from tracker.cli.checks import run_checks

    failed = False
    for check in run_checks(model_dir):
        line = Text.assemble((f"{check.state:<8}", _COLOURS[check.state]), f"{check.subject}: {check.text}")
        out.print(line, soft_wrap=True)
        failed |= check.state == "missing"
    if not failed:
        _show_engines()
    if failed:
        raise FewmarkError("something that tracking needs is missing: see above")


def list_models() -> None:
    """List the shipped models: what they know and how well."""
    from models.registry import AUTOENCODER, DEFAULT_MODEL, MODELS

    damaged = False
    for entry in (*MODELS.values(), AUTOENCODER):
        out.print(
            Text.assemble((entry.name, "bold"), " (default)" if entry.name == DEFAULT_MODEL else ""), soft_wrap=True
        )
        try:
            entry.check()
            header = read_header(entry.weights, "model file")
        except FewmarkError as error:
            fail(str(error))
            damaged = True
            continue
        known = _model_facts if entry.name in MODELS else _autoencoder_facts
        megabytes, count = entry.weights.stat().st_size / 1e6, sum(one.size for one in header.tensors.values())
        size = f"{megabytes:.0f} MB, {count / 1e6:.1f} million weights"
        file = {"file": f"{entry.weights} ({size})", "card": str(entry.card)}
        for label, fact in ({"summary": entry.summary} | known(header.content) | file).items():
            emit(f"  {label:<13}{fact}")
    if damaged:
        raise typer.Exit(2)


def _model_facts(header: dict[str, Any]) -> dict[str, str]:
    scheme, shape = header["scheme"], header["network"]
    nme = header["provenance"].get("validation", {}).get("nme_percent")
    return {
        "landmarks": f"{scheme['name']}, {len(scheme['point_names'])} points",
        "crop": f"{shape['input_size']} px, heatmaps {shape['heatmap_size']} px",
        "accuracy": "not measured" if nme is None else f"NME {nme:.2f} % on held-out faces",
    }


def _autoencoder_facts(header: dict[str, Any]) -> dict[str, str]:
    known = header["provenance"]
    scores, faces = known["held_out"], known["held_out_faces"]
    return {"accuracy": f"RMSE {scores['rmse']:.1f}, SSIM {scores['ssim']:.3f} on {faces} held-out faces"}


def _show_engines() -> None:
    """Every backend, tested with the default model: the ladder from which the best that works is taken."""
    from models.registry import DEFAULT_MODEL, open_model
    from tracker.backends import survey

    title = f"Engines: largest deviation of a landmark of {DEFAULT_MODEL} from eager, px of the crop"
    table = Table(title=title, title_justify="left")
    table.add_column("engine")
    table.add_column("deviation", justify="right")
    table.add_column("start", justify="right")
    table.add_column("runs on, or why not", overflow="fold")
    for rung in survey(open_model(DEFAULT_MODEL)):
        deviation = "" if rung.deviation is None else f"{rung.deviation.largest:.3f}"
        start = "" if rung.start_s is None else f"{rung.start_s:.1f} s"
        told = Text("; ".join(part for part in (rung.device, rung.reason) if part))
        name = f"{rung.backend} (chosen)" if rung.chosen else rung.backend
        table.add_row(Text(name, "bold green" if rung.chosen else ""), deviation, start, told)
    out.print(table)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
