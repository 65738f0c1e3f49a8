from dataclasses import replace
from io import StringIO
from pathlib import Path

import torch
from rich.console import Console

from tracker.files.dataclass_toml import load_toml
from training.benchmarks.benchmark_loading import PhotoDataset, measure_loading, print_speeds
from training.config import LandmarkRecipe
from training.crops.labelled_crops import load_crops
from training.recipes import find_recipe
from training.stages.landmark_stage import read_faces


def test_both_ways_make_batches_of_the_same_faces(shared_data: Path) -> None:
    shipped = load_toml(LandmarkRecipe, find_recipe(Path("skip128")))
    recipe = replace(shipped, optimiser=replace(shipped.optimiser, batch_size=4))
    samples = read_faces(recipe, shared_data / "300w", print)[0][:8]
    size = recipe.network.input_size

    plain = PhotoDataset(samples, recipe)[3]
    assert plain.images.shape == (3, size, size)
    assert plain.images.dtype == torch.float32
    whole = load_crops(samples, size, recipe.crop, recipe.augmentation)
    generator = torch.Generator().manual_seed(1)
    many = [whole.augmented(torch.tensor([3]), recipe.augmentation, generator) for _ in range(20)]
    # The same face: its mean colour lies among those of its augmentations.
    means = torch.stack([batch.images.mean() for batch in many])
    assert means.min() - 0.1 < plain.images.mean() < means.max() + 0.1
    assert plain.points.shape == many[0].points.shape[1:]

    speeds = measure_loading(samples, recipe, workers=(0,), batches=1, rounds=2)
    assert [speed.way for speed in speeds] == ["in RAM, batched", "DataLoader, 0 workers"]
    assert all(len(speed.images_per_s) == 2 and speed.median > 0 for speed in speeds)
    console = Console(file=StringIO(), width=100)
    print_speeds(speeds, console)
    assert "DataLoader, 0 workers" in console.file.getvalue()  # type: ignore[attr-defined]
