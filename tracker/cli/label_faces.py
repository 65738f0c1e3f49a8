"""``fewmark label-faces``: a model labels faces from which a smaller network shall learn."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tracker.cli.console import emit, graceful_stop
from tracker.cli.options import BACKEND_HELP


def label_faces(
    faces: Annotated[list[Path], typer.Argument(metavar="FACES...", help="Folders that prepare-faces made.")],
    output: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The labels, a .safetensors file.")],
    model: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="A shipped model's name or a model file.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Label that many faces only, spread evenly.")] = None,
    backend: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help=BACKEND_HELP,
        ),
    ] = "auto",
) -> None:
    """Have a model find the landmarks of prepared faces, for a recipe's [unlabelled] labels."""
    from models.registry import DEFAULT_MODEL
    from training.faces.face_labels import label_faces as label

    with graceful_stop() as stop:
        path = label(model or DEFAULT_MODEL, faces, output, limit=limit, backend=backend, should_stop=stop)
    emit(str(path))
    if stop.made:
        raise KeyboardInterrupt
