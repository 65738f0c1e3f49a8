"""Supervised training of the landmark path: one loop, read top to bottom.

The loop counts steps, not epochs: the stream of samples is a function of the seed alone, so that a resumed run sees
what the uninterrupted one would have seen.
"""

from __future__ import annotations

import dataclasses
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch.utils.data import DataLoader

from models.checkpoint import FaceModel, save_model
from models.errors import FewmarkError
from models.face_network import FaceNetwork, FaceNetworkConfig
from models.heatmaps import HeatmapKind, heatmap_from_crop
from models.landmark_schemes import LandmarkScheme
from tracker.dataclass_toml import dump_toml, to_mapping
from training.augmentation import AugmentationConfig
from training.config import LandmarkRecipe
from training.crop_stream import AugmentedCrops, Batch, ShuffledStream
from training.datasets import DATASETS, FaceSample
from training.datasets.w300 import split_validation
from training.losses import build_heatmap_loss
from training.metrics import failure_rate, nme_per_face, point_errors
from training.precision import autocast, resolve_precision
from training.training_state import TrainingState

LOG_EVERY = 20  # steps


def train_landmarks(
    recipe: LandmarkRecipe,
    data_root: Path,
    out: Path,
    *,
    resume: bool = False,
    device: str | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    report: Callable[[str], None] = print,
) -> Path | None:
    """Trains a network by a recipe and writes ``model.safetensors`` (averaged weights) to ``out``.

    Beside it: ``recipe.toml``, ``metrics.jsonl`` (a line every 20 steps and every validation) and ``checkpoint.pt``,
    from which ``resume`` goes on.

    Args:
        should_stop: asked after every step; when it says so a checkpoint is written and the run ends.

    Returns:
        The path of the model file; None if the run was stopped.

    Raises:
        FewmarkError: no data, nothing to resume, or ``out`` holds another run.
    """
    target = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    precision = resolve_precision(recipe.precision, target)
    train, validation = _read_faces(recipe, data_root, report)
    scheme = train[0].scheme
    torch.manual_seed(recipe.seed)
    state = TrainingState(_build_network(recipe, scheme), recipe.optimiser, target, precision)
    checkpoint = out / "checkpoint.pt"
    if resume:
        state.restore(checkpoint)
    elif checkpoint.exists():
        raise FewmarkError(f"{out}: holds an unfinished run; pass --resume to go on with it, or another --out")
    out.mkdir(parents=True, exist_ok=True)
    dump_toml(recipe, out / "recipe.toml")

    batch = min(recipe.optimiser.batch_size, len(train))
    steps_per_epoch = len(train) / batch
    total_steps = max(1, round(recipe.optimiser.epochs * steps_per_epoch))
    stream = ShuffledStream(len(train), recipe.seed, state.step * batch, total_steps * batch)
    crops = AugmentedCrops(train, recipe, recipe.augmentation)
    loader = DataLoader(crops, batch, sampler=stream, num_workers=recipe.workers)
    validation_loader = DataLoader(AugmentedCrops(validation, recipe, AugmentationConfig()), batch)
    loss_function = build_heatmap_loss(
        recipe.loss.name, sigma=recipe.loss.sigma, coordinate_weight=recipe.loss.coordinate_weight
    )
    sizes = recipe.network.input_size, recipe.network.heatmap_size
    saved_at = started = time.monotonic()
    losses: list[float] = []
    scores: dict[str, float] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (out / "metrics.jsonl").open("a", encoding="utf-8") as log, Progress(*columns) as progress:
        task = progress.add_task(recipe.name, total=total_steps, completed=state.step)
        for images, points, visible in loader:
            state.network.train()
            images = images.to(target, non_blocking=True).float().div_(255).contiguous(memory_format=state.layout)
            with autocast(precision, target):
                heatmaps = state.network(images)
            loss = loss_function(heatmaps, heatmap_from_crop(points.to(target), *sizes), visible.to(target))
            rate = state.update(loss, total_steps)
            losses.append(loss.item())
            last = state.step == total_steps
            epoch = state.step / steps_per_epoch

            if state.step % LOG_EVERY == 0 or last:
                images_per_s = len(losses) * batch / (time.monotonic() - started)
                mean = sum(losses) / len(losses)
                _log(log, step=state.step, epoch=epoch, loss=mean, images_per_s=images_per_s, lr=rate)
                description = f"{recipe.name}: loss {mean:.3f}, {images_per_s:.0f} images/s"
                progress.update(task, completed=state.step, description=description)
                losses, started = [], time.monotonic()
            if validation and (state.step % max(1, round(steps_per_epoch)) == 0 or last):
                paused = time.monotonic()
                scores = validate(state.averaged, validation_loader, validation, target)
                started += time.monotonic() - paused  # images/s is the speed of training alone
                _log(log, step=state.step, epoch=epoch, **scores)
                progress.print(f"epoch {epoch:.1f}: validation NME {scores['nme_percent']:.2f} %")
            stopping = should_stop() and not last
            if stopping or last or time.monotonic() - saved_at > 60 * recipe.checkpoint_minutes:
                state.save(checkpoint)
                saved_at = time.monotonic()
            if stopping:
                progress.print(f"stopped at step {state.step} of {total_steps}; go on with --resume")
                return None

    provenance: dict[str, Any] = {
        "recipe": to_mapping(dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, root=None))),
        "training_faces": len(train),
        "validation_faces": len(validation),
        "validation": scores,
        "precision": precision,
        "torch": torch.__version__,
        "machine": platform.machine(),
    }
    model = FaceModel(recipe.name, state.averaged, scheme, recipe.crop, reconstructs=False, provenance=provenance)
    path = out / "model.safetensors"
    save_model(path, model, half=True)
    return path


@torch.no_grad()
def validate(
    network: FaceNetwork, loader: DataLoader[Batch], samples: list[FaceSample], device: torch.device
) -> dict[str, float]:
    """NME and failure rate on unaugmented crops around the labels."""
    network.eval()
    predicted, truth = [], []
    for images, points, _ in loader:
        predicted.append(network.locate(images.to(device).float() / 255).points.cpu().numpy())
        truth.append(points.numpy())
    visible = np.stack([s.visible for s in samples])
    errors = point_errors(np.concatenate(predicted), np.concatenate(truth), visible, samples[0].scheme)
    nme = nme_per_face(errors)
    return {"nme_percent": round(100 * float(nme.mean()), 4), "failure_rate": round(failure_rate(nme), 4)}


def _read_faces(
    recipe: LandmarkRecipe, data_root: Path, report: Callable[[str], None]
) -> tuple[list[FaceSample], list[FaceSample]]:
    found = DATASETS[recipe.data.dataset](data_root)
    for line in found.skipped:
        report(f"skipped {line}")
    train, validation = split_validation(found.samples, recipe.data.validation)
    if not train:
        raise FewmarkError(f"{data_root}: no labelled face to train on")
    return train, validation


def _build_network(recipe: LandmarkRecipe, scheme: LandmarkScheme) -> FaceNetwork:
    kind: HeatmapKind = "gaussian" if recipe.loss.name == "l2" else "logits"
    shape = dataclasses.asdict(recipe.network)
    return FaceNetwork(FaceNetworkConfig(num_landmarks=scheme.num_points, heatmap_kind=kind, **shape))


def _log(file: IO[str], **values: float) -> None:
    file.write(json.dumps({k: round(v, 6) if isinstance(v, float) else v for k, v in values.items()}) + "\n")
    file.flush()
