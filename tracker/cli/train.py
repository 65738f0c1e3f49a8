"""``fewmark train``: the training module's commands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from models.errors import FewmarkError
from tracker.cli.console import emit, graceful_stop, out, warn
from tracker.cli.option_groups import with_option_groups
from tracker.cli.options import DATASET_NAMES

if TYPE_CHECKING:
    from training.config import AutoencoderRecipe, DescriptorRecipe, LandmarkRecipe

Recipe = TypeVar("Recipe", "AutoencoderRecipe", "DescriptorRecipe", "LandmarkRecipe")

_AutoencoderRecipe = Annotated[
    Path,
    typer.Argument(
        help="A recipe (TOML), or the name of a shipped one: face128, portrait128, 3fabrec-autoencoder128, "
        "3fabrec-autoencoder256."
    ),
]
_DescriptorRecipe = Annotated[Path, typer.Argument(help="A recipe (TOML), or the name of a shipped one: match128.")]
_LandmarkRecipe = Annotated[
    Path,
    typer.Argument(
        help="A recipe (TOML), or the name of a shipped one: teach256, teach128, fine256, exact256, polish256, "
        "fast128, skip128, few128, scaf256, 3fabrec-landmarks256."
    ),
]
_Faces = Annotated[list[Path] | None, typer.Option(help="A folder that prepare-faces made; repeat for more.")]
_StartFrom = Annotated[
    Path | None, typer.Option(metavar="FILE", help="What to start from, in place of what the recipe says.")
]
_Device = Annotated[str | None, typer.Option(help="A torch device; default: a GPU if there is one.")]

train_app = typer.Typer(no_args_is_help=True, help="Make models.", rich_markup_mode=None)


@train_app.callback()
def _train() -> None:
    """Make models."""


@dataclass(frozen=True, slots=True)
class _Labels:
    """Where labelled faces come from, in place of what a recipe says."""

    data: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="The data set's folder, or a file of labels; else as in the recipe."),
    ] = None
    dataset: Annotated[
        str | None,
        typer.Option(metavar="NAME", help=f"What the data are, in place of what the recipe says: {DATASET_NAMES}."),
    ] = None

    def of(self, config: LandmarkRecipe) -> tuple[LandmarkRecipe, Path]:
        """The recipe with what was named in place of its own, and where the data lie."""
        from dataclasses import replace

        root = self.data or config.data.root
        if root is None:
            raise FewmarkError(
                f"recipe {config.name}: names no data; pass --data with the folder, or the file of labels"
            )
        return (replace(config, data=replace(config.data, dataset=self.dataset)) if self.dataset else config), root


@dataclass(frozen=True, slots=True)
class _Run:
    """What the commands that train one network have in common."""

    start_from: _StartFrom = None
    output: Annotated[Path | None, typer.Option("--out", "-o", help="Folder of the run; default runs/<name>.")] = None
    resume: Annotated[bool, typer.Option(help="Go on with an unfinished run.")] = False
    device: _Device = None
    devices: Annotated[
        int, typer.Option(min=1, help="Processes on this machine, one a GPU; more than one needs the extra cluster.")
    ] = 1
    num_nodes: Annotated[int, typer.Option(min=1, help="Machines; start the same command on each of them.")] = 1
    precision: Annotated[str | None, typer.Option(help="auto, fp32, bf16 or fp16, instead of the recipe's.")] = None

    def recipe(self, kind: type[Recipe], named: Path) -> Recipe:
        """A recipe file or a shipped recipe, with what was named in place of its own."""
        from training.engine.precision import with_precision

        return with_precision(_read_recipe(kind, named, self.start_from), self.precision)

    def folder(self, config: AutoencoderRecipe | DescriptorRecipe | LandmarkRecipe) -> Path:
        """Where the run leaves its files."""
        return self.output or Path("runs") / config.name

    def carry_out(self, train: Callable[..., Path | None]) -> None:
        """Trains, and says where the result is; a run that was stopped ends as Ctrl-C does, in every process."""
        from training.engine.processes import start_processes

        with graceful_stop() as stop:
            processes = start_processes(self.device, self.devices, self.num_nodes)
            path = train(resume=self.resume, processes=processes, should_stop=stop)
        if stop.made or (path is None and processes.is_main):
            raise KeyboardInterrupt
        if path is not None:
            emit(str(path))


@train_app.command("autoencoder")
@with_option_groups
def train_autoencoder(recipe: _AutoencoderRecipe, faces: _Faces = None, *, run: _Run) -> None:
    """Stage 1: train the adversarial autoencoder on faces without labels."""
    from training.config import AutoencoderRecipe
    from training.stages.autoencoder_stage import train_autoencoder

    config = run.recipe(AutoencoderRecipe, recipe)
    run.carry_out(partial(train_autoencoder, config, _faces_of(config, faces), run.folder(config)))


@train_app.command("descriptors")
@with_option_groups
def train_descriptors(recipe: _DescriptorRecipe, faces: _Faces = None, *, run: _Run) -> None:
    """Between the stages: teach a network to find places of a face again, on faces without labels."""
    from training.config import DescriptorRecipe
    from training.stages.descriptor_stage import train_descriptors

    config = run.recipe(DescriptorRecipe, recipe)
    run.carry_out(partial(train_descriptors, config, _faces_of(config, faces), run.folder(config)))


@train_app.command("few-shot")
@with_option_groups
def train_few_shot(
    recipe: _LandmarkRecipe,
    *,
    labels: _Labels,
    sizes: Annotated[
        str, typer.Option(metavar="N,N...", help="Numbers of labelled faces, or all.")
    ] = "1,10,50,158,315,630,all",
    runs: Annotated[int, typer.Option(min=1, help="Random draws of each number; all is run once.")] = 5,
    start_from: _StartFrom = None,
    output: Annotated[Path | None, typer.Option("--out", "-o", help="Default runs/few-shot-<recipe>.")] = None,
    device: _Device = None,
) -> None:
    """Train with few labelled faces, many times: the tables 4 to 6 of 3FabRec. Stopped, it goes on where it was."""
    from training.benchmarks import few_shot
    from training.config import LandmarkRecipe
    from training.engine.processes import start_processes

    config, root = labels.of(_read_recipe(LandmarkRecipe, recipe, start_from))
    folder = output or Path("runs") / f"few-shot-{config.name}"
    wanted = few_shot.parse_sizes(sizes)
    with graceful_stop() as stop:
        rows = few_shot.run_few_shot(
            config,
            root,
            folder,
            sizes=wanted,
            runs=runs,
            processes=start_processes(device),
            should_stop=stop,
            report=warn,
        )
    if rows is None:
        raise KeyboardInterrupt
    out.print(few_shot.few_shot_table(rows, config.name))
    emit(str(folder / "few_shot.json"))


@train_app.command("landmarks")
@with_option_groups
def train_landmarks(recipe: _LandmarkRecipe, *, labels: _Labels, run: _Run) -> None:
    """Train the landmark path of a network on labelled faces. The model is named after the run's folder."""
    from dataclasses import replace

    from training.config import LandmarkRecipe
    from training.stages.landmark_stage import train_landmarks

    config, root = labels.of(run.recipe(LandmarkRecipe, recipe))
    folder = run.folder(config)
    config = replace(config, name=folder.resolve().name)  # models of one recipe are told apart by it
    run.carry_out(partial(train_landmarks, config, root, folder, report=warn))


def _read_recipe(kind: type[Recipe], named: Path, start_from: Path | None) -> Recipe:
    """A recipe file or a shipped recipe, with the start that was named in place of its own."""
    from dataclasses import replace

    from tracker.files.dataclass_toml import load_toml
    from training.recipes import find_recipe

    config = load_toml(kind, find_recipe(named))
    return replace(config, start_from=start_from) if start_from else config


def _faces_of(config: AutoencoderRecipe | DescriptorRecipe, named: list[Path] | None) -> list[Path]:
    """The folders of unlabelled faces: those that were named, else the recipe's."""
    roots = named or list(config.faces.roots)
    if not roots:
        raise FewmarkError(
            f"recipe {config.name}: names no faces; pass --faces FOLDER (`fewmark prepare-faces` makes one)"
        )
    return roots
