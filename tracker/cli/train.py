"""``fewmark train``, ``fewmark evaluate`` and ``fewmark import-3fabrec``: the training module's commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from models.errors import FewmarkError
from tracker.cli.console import emit, graceful_stop, out, say, warn

train_app = typer.Typer(no_args_is_help=True, help="Make models.", rich_markup_mode=None)


@train_app.callback()
def _train() -> None:
    """Make models."""


@train_app.command("landmarks")
def train_landmarks(
    recipe: Annotated[Path, typer.Argument(help="A recipe (TOML), or the name of a shipped one.")],
    data: Annotated[Path | None, typer.Option(help="The dataset's root folder; else the recipe names it.")] = None,
    output: Annotated[Path | None, typer.Option("--out", "-o", help="Folder of the run; default runs/<name>.")] = None,
    resume: Annotated[bool, typer.Option(help="Go on with an unfinished run.")] = False,
    device: Annotated[str | None, typer.Option(help="A torch device; default: a GPU if there is one.")] = None,
) -> None:
    """Train the landmark path of a network on labelled faces."""
    from tracker.dataclass_toml import load_toml
    from training import landmark_stage
    from training.config import LandmarkRecipe
    from training.recipes import find_recipe

    config = load_toml(LandmarkRecipe, find_recipe(recipe))
    root = data or config.data.root
    if root is None:
        raise FewmarkError(f"{recipe}: names no data; pass --data FOLDER")
    folder = output or Path("runs") / config.name
    with graceful_stop() as stop:
        path = landmark_stage.train_landmarks(
            config, root, folder, resume=resume, device=device, should_stop=stop, report=warn
        )
    if path is None:
        raise KeyboardInterrupt
    emit(str(path))


def evaluate(
    data: Annotated[Path, typer.Argument(help="The dataset's root folder.")],
    model: Annotated[str | None, typer.Option(help="A shipped model's name or a model file.")] = None,
    dataset: Annotated[str, typer.Option(help="The dataset's layout.")] = "300w",
    subset: Annotated[
        str, typer.Option(help="validation (what training held out), test, train or all.")
    ] = "validation",
    crops: Annotated[
        str, typer.Option(help="detector (the whole pipeline) or truth (crops from the labels).")
    ] = "detector",
    output: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for the CED plot and the figures as JSON.")
    ] = None,
    backend: Annotated[str, typer.Option(help="What runs the network.")] = "auto",
    flip: Annotated[bool, typer.Option(help="Average with the mirrored crop (crops from the labels only).")] = False,
    model_dir: Annotated[Path | None, typer.Option(help="Folder with detector model files.")] = None,
) -> None:
    """Measure a model on labelled faces: NME, failure rate, AUC, by subset."""
    from training.evaluation import evaluate_model, print_table, write_report

    evaluation = evaluate_model(
        model,
        data,
        dataset=dataset,
        subset=subset,
        crops=crops,
        backend=backend,
        flip=flip,
        model_dir=model_dir,
        report=say,
    )
    for line in evaluation.skipped:
        warn(f"skipped {line}")
    print_table(evaluation, out)
    if output is not None:
        for path in write_report(evaluation, output):
            emit(str(path))


def import_published(
    folder: Annotated[Path, typer.Argument(help="A published 3FabRec checkpoint: meta.json and saae.mdl.")],
    output: Annotated[
        Path | None, typer.Option("--out", "-o", help="The model file; default <folder>.safetensors.")
    ] = None,
) -> None:
    """Turn a published 3FabRec checkpoint into a model file."""
    from models.checkpoint import save_model
    from models.import_3fabrec import import_3fabrec

    imported = import_3fabrec(folder)
    target = output or folder.with_suffix(".safetensors")
    save_model(target, imported.model)
    say(
        f"left out, as only training needs it: {len(imported.left_out)} tensors of the discriminators and unused layers"
    )
    emit(str(target))
