"""``fewmark doctor`` and ``fewmark models``: what is here, and what would be used."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from models.errors import FewmarkError
from tracker.cli.console import out

_PACKAGES = ("torch", "numpy", "mediapipe", "opencv-contrib-python", "av", "safetensors", "PyQt6")


def doctor(
    model_dir: Annotated[Path | None, typer.Option(help="Folder with detector model files.")] = None,
) -> None:
    """Show versions, devices, model files and cameras, and what would be used."""
    from tracker.cli.checks import run_checks

    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row("Python", f"{sys.version.split()[0]} on {platform.platform()}")
    for package in _PACKAGES:
        table.add_row(package, _version(package))
    out.print(table)
    failed = False
    for check in run_checks(model_dir):
        mark = {"ok": "[green]ok[/]", "note": "[yellow]note[/]", "missing": "[red]missing[/]"}[check.state]
        out.print(f"{mark} {check.subject}: {check.text}", soft_wrap=True, highlight=False)
        failed |= check.state == "missing"
    if failed:
        raise FewmarkError("something that tracking needs is missing: see above")


def list_models() -> None:
    """List the shipped models: what they know, their size and their accuracy."""
    from models.registry import DEFAULT_MODEL, MODELS, open_model

    table = Table("model", "landmarks", "crop", "heatmaps", "reconstructs", "validation NME", "file", "summary")
    for entry in MODELS.values():
        model = open_model(entry.name)
        shape = model.network.config
        nme = model.provenance.get("validation", {}).get("nme_percent")
        table.add_row(
            f"{entry.name} (default)" if entry.name == DEFAULT_MODEL else entry.name,
            f"{shape.num_landmarks} ({model.scheme.name})",
            f"{shape.input_size} px",
            f"{shape.heatmap_size} px",
            "yes" if model.reconstructs else "no",
            f"{nme:.2f} %" if nme is not None else "?",
            f"{entry.weights.stat().st_size / 1e6:.0f} MB",
            entry.summary,
        )
    out.print(table)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
