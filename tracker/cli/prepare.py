"""``fewmark prepare-faces``: images of any kind to the crops that stage 1 learns from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tracker.cli.console import emit, graceful_stop, out, say, warn

if TYPE_CHECKING:
    from training.faces import FaceManifest


def prepare_faces(
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="SOURCE...", help="Folders of images (with subfolders) and .tar shards."),
    ],
    output: Annotated[
        Path, typer.Option("--out", "-o", metavar="FOLDER", help="Folder for the faces; an unfinished one goes on.")
    ],
    size: Annotated[int, typer.Option(metavar="PX", help="Side of the crop that the network will see.")] = 128,
    margin: Annotated[float, typer.Option(help="Crop side in units of the landmarks' extent.")] = 1.3,
    context: Annotated[
        float, typer.Option(help="Stored side in units of the crop side: room to turn and shift the crop.")
    ] = 1.4,
    min_face: Annotated[
        float, typer.Option(metavar="PX", help="Leave out faces that are smaller in their image.")
    ] = 40,
    workers: Annotated[
        int | None, typer.Option(metavar="N", help="Processes.  [default: one per core]", show_default=False)
    ] = None,
    model_dir: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Folder with detector model files.")] = None,
) -> None:
    """Cut the largest face out of every image, as the tracker would, and store the crops for training."""
    from training.faces import PrepareSettings
    from training.faces import prepare_faces as prepare

    settings = PrepareSettings(size=size, margin=margin, context=context, min_face=min_face)
    with graceful_stop() as stop:
        manifest = prepare(
            sources, output, settings, workers=workers, model_dir=model_dir, should_stop=stop, report=warn
        )
    _print_counts(manifest)
    if not manifest.complete:
        say(f"{len(manifest.shards)} shards are finished; the same command goes on behind them")
        raise KeyboardInterrupt
    emit(str(output))


def _print_counts(manifest: FaceManifest) -> None:
    from rich.table import Table

    reasons = {"no_face": "no face", "small_face": "too small", "unreadable": "unreadable"}
    counts = {"faces": manifest.faces_by_source()} | {
        title: manifest.skipped(reason) for reason, title in reasons.items()
    }
    table = Table("source", *counts, box=None)
    for source in sorted(set().union(*counts.values())):
        table.add_row(source, *(str(column[source]) for column in counts.values()))
    table.add_row("all", *(str(column.total()) for column in counts.values()))
    out.print(table)
