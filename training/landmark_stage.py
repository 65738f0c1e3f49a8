"""Supervised training of the landmark path: one loop, read top to bottom.

The loop counts steps, not epochs: the stream of samples is a function of the seed alone, so that a resumed run sees
what the uninterrupted one would have seen.
"""

from __future__ import annotations

import dataclasses
import json
import math
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset, Sampler

from models.checkpoint import FaceModel, save_model
from models.errors import FewmarkError
from models.face_network import FaceNetwork, FaceNetworkConfig
from models.heatmaps import HeatmapKind, heatmap_from_crop
from tracker.dataclass_toml import dump_toml, to_mapping
from training.augmentation import AugmentationConfig, augmented_crop
from training.config import LandmarkRecipe
from training.datasets import DATASETS, FaceSample
from training.datasets.w300 import split_validation
from training.losses import build_heatmap_loss
from training.metrics import failure_rate, nme_per_face, point_errors
from training.precision import autocast, resolve_precision

Batch = tuple[Tensor, Tensor, Tensor]  # images (B, 3, S, S) uint8, points (B, K, 2) crop px, visible (B, K) float


class AugmentedCrops(Dataset[Batch]):
    """Item i is sample i modulo n, augmented by a generator that i seeds: any worker makes the same item."""

    def __init__(self, samples: list[FaceSample], recipe: LandmarkRecipe, augmentation: AugmentationConfig) -> None:
        self.samples, self.recipe, self.augmentation = samples, recipe, augmentation

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, item: int) -> Batch:
        sample = self.samples[item % len(self.samples)]
        rng = np.random.default_rng((self.recipe.seed, item))
        size = self.recipe.network.input_size
        crop, points, mirrored = augmented_crop(
            sample.load_image(), sample.points, sample.scheme, size, self.recipe.crop, self.augmentation, rng
        )
        visible = sample.visible[list(sample.scheme.mirror_permutation)] if mirrored else sample.visible
        image = torch.from_numpy(crop).permute(2, 0, 1)
        return image, torch.from_numpy(points), torch.from_numpy(visible.astype(np.float32))


class ShuffledStream(Sampler[int]):
    """Item numbers from ``start`` to ``stop``: every epoch a permutation of its own, drawn from the seed."""

    def __init__(self, num_samples: int, seed: int, start: int, stop: int) -> None:
        self.num_samples, self.seed, self.start, self.stop = num_samples, seed, start, stop

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[int]:
        order, current = np.empty(0, np.int64), -1
        for position in range(self.start, self.stop):
            epoch, k = divmod(position, self.num_samples)
            if epoch != current:
                order, current = np.random.default_rng((self.seed, epoch)).permutation(self.num_samples), epoch
            yield epoch * self.num_samples + int(order[k])


def learning_rate_factor(step: int, warmup_steps: int, total_steps: int) -> float:
    """Linear warm-up from 0, then half a cosine down to 0; 0..1."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    return 0.5 * (1 + math.cos(math.pi * (step - warmup_steps) / max(1, total_steps - warmup_steps)))


@torch.no_grad()
def validate(
    network: FaceNetwork, loader: DataLoader[Batch], samples: list[FaceSample], device: torch.device
) -> dict[str, float]:
    """NME and failure rate on unaugmented ground-truth crops."""
    network.eval()
    predicted, truth = [], []
    for images, points, _ in loader:
        predicted.append(network.locate(images.to(device).float() / 255).points.cpu().numpy())
        truth.append(points.numpy())
    visible = np.stack([s.visible for s in samples])
    errors = point_errors(np.concatenate(predicted), np.concatenate(truth), visible, samples[0].scheme)
    nme = nme_per_face(errors)
    return {"nme_percent": round(100 * float(nme.mean()), 4), "failure_rate": round(failure_rate(nme), 4)}


def train_landmarks(
    recipe: LandmarkRecipe, data_root: Path, out: Path, *, resume: bool = False, device: str | None = None
) -> Path:
    """Trains a network by a recipe and writes ``model.safetensors`` (EMA weights) to ``out``.

    Beside it: ``recipe.toml``, ``metrics.jsonl`` (a line every 20 steps and every validation) and ``checkpoint.pt``,
    from which ``resume`` goes on. Ctrl-C writes a checkpoint first.

    Returns:
        The path of the model file.

    Raises:
        FewmarkError: no data, nothing to resume, or ``out`` holds another run.
    """
    target = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    report = DATASETS[recipe.data.dataset](data_root)
    for line in report.skipped:
        print(f"skipped {line}")
    train, validation = split_validation(report.samples, recipe.data.validation)
    if len(train) < 1:
        raise FewmarkError(f"{data_root}: no labelled face to train on")
    scheme = train[0].scheme
    torch.manual_seed(recipe.seed)
    kind: HeatmapKind = "gaussian" if recipe.loss.name == "l2" else "logits"
    shape = dataclasses.asdict(recipe.network)
    network = FaceNetwork(FaceNetworkConfig(num_landmarks=scheme.num_points, heatmap_kind=kind, **shape))
    precision = resolve_precision(recipe.precision, target)
    layout = torch.contiguous_format if precision == "fp32" else torch.channels_last
    network.to(target, memory_format=layout)  # type: ignore[call-overload]
    ema = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(recipe.optimiser.ema_decay), use_buffers=True)
    settings = recipe.optimiser
    averaged = cast(FaceNetwork, ema.module)
    optimiser = torch.optim.AdamW(network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    scaler = torch.amp.GradScaler(target.type, enabled=precision == "fp16")
    loss_function = build_heatmap_loss(
        recipe.loss.name, sigma=recipe.loss.sigma, coordinate_weight=recipe.loss.coordinate_weight
    )
    batch = min(settings.batch_size, len(train))
    total_steps = max(1, round(settings.epochs * len(train) / batch))
    validate_every = max(1, round(len(train) / batch))

    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out / "checkpoint.pt"
    step = 0
    if resume:
        step = _restore(checkpoint, network, ema, optimiser, scaler)
    elif checkpoint.exists():
        raise FewmarkError(f"{out}: holds an unfinished run; pass --resume to go on with it, or another --out")
    dump_toml(recipe, out / "recipe.toml")

    stream = ShuffledStream(len(train), recipe.seed, step * batch, total_steps * batch)
    loader = DataLoader(
        AugmentedCrops(train, recipe, recipe.augmentation), batch, sampler=stream, num_workers=recipe.workers
    )
    plain = AugmentedCrops(validation, recipe, AugmentationConfig())
    validation_loader = DataLoader(plain, batch)
    last_saved = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        (out / "metrics.jsonl").open("a", encoding="utf-8") as log,
        Progress(*columns, TextColumn("{task.fields[status]}")) as progress,
    ):
        task = progress.add_task(recipe.name, total=total_steps, completed=step, status="")
        losses: list[float] = []
        started = time.monotonic()
        try:
            for images, points, visible in loader:
                network.train()
                factor = learning_rate_factor(step, settings.warmup_steps, total_steps)
                for group in optimiser.param_groups:
                    group["lr"] = settings.learning_rate * factor
                images = images.to(target, non_blocking=True).float().div_(255).contiguous(memory_format=layout)
                goal = heatmap_from_crop(points.to(target), recipe.network.input_size, recipe.network.heatmap_size)
                with autocast(precision, target):
                    logits = network(images)
                loss = loss_function(logits, goal, visible.to(target))
                optimiser.zero_grad(set_to_none=True)
                scaler.scale(loss).backward()
                scaler.unscale_(optimiser)
                torch.nn.utils.clip_grad_norm_(network.parameters(), settings.gradient_clip)
                scaler.step(optimiser)
                scaler.update()
                ema.update_parameters(network)
                step += 1
                losses.append(loss.item())
                if step % 20 == 0 or step == total_steps:
                    rate = len(losses) * batch / (time.monotonic() - started)
                    mean = sum(losses) / len(losses)
                    _log(
                        log,
                        step=step,
                        epoch=step * batch / len(train),
                        loss=mean,
                        images_per_s=rate,
                        lr=factor * settings.learning_rate,
                    )
                    progress.update(task, completed=step, status=f"loss {mean:.3f}  {rate:.0f} images/s")
                    losses, started = [], time.monotonic()
                if validation and (step % validate_every == 0 or step == total_steps):
                    scores = validate(averaged, validation_loader, validation, target)
                    _log(log, step=step, epoch=step * batch / len(train), **scores)
                    progress.print(
                        f"epoch {step * batch / len(train):.1f}: validation NME {scores['nme_percent']:.2f} %"
                    )
                    started = time.monotonic()
                if time.monotonic() - last_saved > 60 * recipe.checkpoint_minutes or step == total_steps:
                    _save(checkpoint, network, ema, optimiser, scaler, step)
                    last_saved = time.monotonic()
        except KeyboardInterrupt:
            _save(checkpoint, network, ema, optimiser, scaler, step)
            progress.print(f"stopped at step {step}; go on with --resume")
            raise

    scores = validate(averaged, validation_loader, validation, target) if validation else {}
    provenance: dict[str, Any] = {
        "recipe": to_mapping(dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, root=None))),
        "training_faces": len(train),
        "validation_faces": len(validation),
        "validation": scores,
        "precision": precision,
        "torch": torch.__version__,
        "machine": platform.machine(),
    }
    model = FaceModel(recipe.name, averaged, scheme, recipe.crop, reconstructs=False, provenance=provenance)
    path = out / "model.safetensors"
    save_model(path, model, half=True)
    return path


def _save(
    path: Path,
    network: FaceNetwork,
    ema: AveragedModel,
    optimiser: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    step: int,
) -> None:
    state = {
        "network": network.state_dict(),
        "ema": ema.state_dict(),
        "optimiser": optimiser.state_dict(),
        "scaler": scaler.state_dict(),
        "step": step,
    }
    partial = path.with_suffix(".part")
    torch.save(state, partial)
    partial.replace(path)


def _restore(
    path: Path, network: FaceNetwork, ema: AveragedModel, optimiser: torch.optim.Optimizer, scaler: torch.amp.GradScaler
) -> int:
    if not path.is_file():
        raise FewmarkError(f"{path}: nothing to resume here; leave --resume away to start")
    state = torch.load(path, weights_only=True, map_location="cpu")
    network.load_state_dict(state["network"])
    ema.load_state_dict(state["ema"])
    optimiser.load_state_dict(state["optimiser"])
    scaler.load_state_dict(state["scaler"])
    return int(state["step"])


def _log(file: Any, **values: float) -> None:
    file.write(json.dumps({k: round(v, 6) if isinstance(v, float) else v for k, v in values.items()}) + "\n")
    file.flush()
