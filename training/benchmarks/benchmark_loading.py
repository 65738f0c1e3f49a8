"""How fast training batches are made: from RAM as batched tensors, against a plain DataLoader that opens every photo.

``python -m training.benchmarks.benchmark_loading --data FOLDER``. Both make the same augmented crops; no network runs.
A plain DataLoader is what most training code does: a photo is decoded, cut and augmented by itself every time it is
drawn.
"""

from __future__ import annotations

import itertools
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table
from torch.utils.data import DataLoader, Dataset

from tracker.files.dataclass_toml import load_toml
from training.config import LandmarkRecipe
from training.crops.labelled_crops import Batch, load_crops
from training.datasets import FaceSample
from training.engine.seeding import face_numbers, generator_for
from training.recipes import find_recipe
from training.stages.landmark_stage import read_faces

ROUNDS = 5
_ENDLESS = 1 << 30  # steps


class PhotoDataset(Dataset[Batch]):
    """A face a time: its photo is opened, the face cut and augmented, when it is asked for."""

    def __init__(self, samples: Sequence[FaceSample], recipe: LandmarkRecipe) -> None:
        self.samples, self.recipe = samples, recipe

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, number: int) -> Batch:
        recipe = self.recipe
        crops = load_crops([self.samples[number]], recipe.network.input_size, recipe.crop, recipe.augmentation)
        generator = torch.Generator().manual_seed(int(torch.randint(1 << 62, ())))
        one = crops.augmented(torch.tensor([0]), recipe.augmentation, generator)
        return Batch(*(part[0] for part in one))


@dataclass(frozen=True, slots=True)
class LoadingSpeed:
    """How fast one way makes batches, images/s: one figure a round."""

    way: str
    images_per_s: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.images_per_s)


def measure_loading(
    samples: Sequence[FaceSample], recipe: LandmarkRecipe, *, workers: Sequence[int], batches: int, rounds: int = ROUNDS
) -> list[LoadingSpeed]:
    """Times the ways in turn, so that what else the machine does falls on all of them alike.

    Args:
        workers: processes of the plain DataLoader; each number is a way of its own.
        batches: of each round; one more is made before the clock starts.
    """
    batch = min(recipe.optimiser.batch_size, len(samples))
    crops = load_crops(samples, recipe.network.input_size, recipe.crop, recipe.augmentation)

    def from_ram() -> Iterator[Batch]:
        steps = range(_ENDLESS)
        for step, chosen in zip(steps, face_numbers(len(crops), batch, recipe.seed, steps), strict=True):
            yield crops.augmented(chosen, recipe.augmentation, generator_for(recipe.seed, step))

    def plain(count: int) -> Callable[[], Iterator[Batch]]:
        # Spawned as on Windows and macOS: a forked process may inherit the locks of this one's threads.
        loader = DataLoader(
            PhotoDataset(samples, recipe),
            batch_size=batch,
            shuffle=True,
            drop_last=True,
            num_workers=count,
            multiprocessing_context="spawn" if count else None,
            persistent_workers=count > 0,
        )
        return lambda: itertools.chain.from_iterable(iter(loader) for _ in itertools.count())

    ways = {"in RAM, batched": from_ram()}
    ways |= {f"DataLoader, {count} worker{'s' * (count != 1)}": plain(count)() for count in workers}
    figures: dict[str, list[float]] = {way: [] for way in ways}
    for stream in ways.values():
        next(stream)
    for _ in range(rounds):
        for way, stream in ways.items():
            started = time.perf_counter()
            for _ in range(batches):
                next(stream)
            figures[way].append(batches * batch / (time.perf_counter() - started))
    return [LoadingSpeed(way, tuple(speeds)) for way, speeds in figures.items()]


def print_speeds(speeds: Sequence[LoadingSpeed], console: Console) -> None:
    """A line a way, each with its ratio to the slowest."""
    slowest = min(speed.median for speed in speeds)
    table = Table("batches come from", "images/s", "lowest", "highest", "ratio")
    for speed in speeds:
        low, high = min(speed.images_per_s), max(speed.images_per_s)
        table.add_row(speed.way, f"{speed.median:.0f}", f"{low:.0f}", f"{high:.0f}", f"{speed.median / slowest:.1f}")
    console.print(table)


def main(
    data: Annotated[Path, typer.Option(help="The data set's root folder.")],
    recipe: Annotated[Path, typer.Option(help="A recipe (TOML), or the name of a shipped one.")] = Path("skip128"),
    batches: Annotated[int, typer.Option(min=1, help="Of each round.")] = 8,
) -> None:
    """Measure how fast training batches are made."""
    config = load_toml(LandmarkRecipe, find_recipe(recipe))
    train, _ = read_faces(config, data, lambda line: Console(stderr=True).print(line))
    speeds = measure_loading(train, config, workers=(0, os.cpu_count() or 1), batches=batches)
    print_speeds(speeds, Console())


if __name__ == "__main__":
    typer.run(main)
