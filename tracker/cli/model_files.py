"""``fewmark import-3fabrec`` and ``fewmark attach-autoencoder``: model files out of other files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tracker.cli.console import emit, say


def import_published(
    folder: Annotated[Path, typer.Argument(help="A published 3FabRec checkpoint: meta.json and saae.mdl.")],
    output: Annotated[
        Path | None, typer.Option("--out", "-o", help="The model file; default <folder>.safetensors.")
    ] = None,
) -> None:
    """Turn a published 3FabRec checkpoint into a model file."""
    from models.files.model_file import save_model
    from models.surgery.import_3fabrec import import_3fabrec

    imported = import_3fabrec(folder)
    target = output or folder.with_suffix(".safetensors")
    save_model(target, imported.model)
    say(
        f"left out, as only training needs it: {len(imported.left_out)} tensors of the discriminators and unused layers"
    )
    emit(str(target))


def attach_autoencoder(
    model: Annotated[Path, typer.Argument(help="A model file, or the name of a shipped model.")],
    autoencoder: Annotated[Path, typer.Argument(help="What `fewmark train autoencoder` made.")],
    output: Annotated[Path, typer.Option("--out", "-o", help="The model file with both.")],
) -> None:
    """Give a model the autoencoder that shows its reconstructions, in place of its own decoder."""
    from dataclasses import replace

    from models.errors import FewmarkError
    from models.files.autoencoder_file import load_autoencoder
    from models.files.model_file import save_model
    from models.registry import open_model
    from training.evaluation.calibration import fits_into_half

    landmarks, trained = open_model(model), load_autoencoder(autoencoder)
    if landmarks.crop_rule != trained.crop_rule:
        raise FewmarkError(
            f"{autoencoder}: was trained on crops by {trained.crop_rule}, {model} takes those by {landmarks.crop_rule}"
        )
    together = replace(landmarks, carries=trained.autoencoder)
    half = fits_into_half(landmarks.network, trained.autoencoder)
    save_model(output, together, half=half)
    emit(str(output))
