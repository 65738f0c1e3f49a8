"""Stage 1 of 3FabRec: the adversarial autoencoder, trained on faces without labels (sections 3.2 and 4.2.1)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from models.autoencoder import Autoencoder, grow
from models.autoencoder_file import TrainedAutoencoder, load_autoencoder, save_autoencoder
from models.errors import FewmarkError
from models.linear_code import LinearCode
from training.adversarial_state import AdversarialState
from training.augmentation import AugmentationConfig
from training.batch_augmentation import change_appearance, random_crops
from training.config import AutoencoderRecipe
from training.crop_stream import ShuffledStream
from training.faces import FaceStore, load_faces
from training.image_metrics import rmse, ssim
from training.pace import Pace, claim_checkpoint
from training.precision import resolve_precision
from training.principal_components import SIDE, principal_components
from training.processes import Processes, start_processes
from training.run_log import RunLog, RunningMeans, provenance_of
from training.sample_grid import write_sample_grid
from training.seeding import generator_for

RESULT_FILE = "autoencoder.safetensors"
LOG_EVERY = 20  # steps
MEASURE_EVERY = 500  # steps


def train_autoencoder(
    recipe: AutoencoderRecipe,
    faces: Sequence[Path],
    out: Path,
    *,
    resume: bool = False,
    processes: Processes | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Path | None:
    """Trains an autoencoder by a recipe and writes ``autoencoder.safetensors`` (averaged weights) to ``out``.

    Beside it: ``recipe.toml``, ``metrics.jsonl`` (losses every 20 steps, RMSE and SSIM of held-out faces every 500),
    ``samples.png`` (input, reconstruction, random, interpolation) and ``checkpoint.pt``, from which ``resume`` goes on.

    Args:
        faces: folders that ``fewmark prepare-faces`` made.
        processes: of several, each takes its share of every batch, and the main one writes.
        should_stop: asked after every step; when it says so a checkpoint is written and the run ends.

    Returns:
        The path of the autoencoder file, in the main process; None in others, and if the run was stopped.

    Raises:
        FewmarkError: no faces, nothing to resume, or ``out`` holds another run.
    """
    processes = processes or start_processes()
    target = processes.device
    precision = resolve_precision(recipe.precision, target)
    checkpoint = claim_checkpoint(out, RESULT_FILE, resume=resume)
    torch.manual_seed(recipe.seed)
    state = AdversarialState(build_autoencoder(recipe), recipe, processes, precision)
    if resume:
        state.restore(checkpoint)
    store = load_faces(faces, size=recipe.network.input_size, held_out=recipe.faces.held_out)
    if state.step < recipe.linear_start.steps:
        state.components = _linear_code(store, recipe).to(target)
    if recipe.network.linear_side and recipe.start_from is None and not resume:
        state.start_linear(state.components or _linear_code(store, recipe))
    processes.wait()  # until all have looked for a checkpoint
    log = RunLog(out, recipe, processes.is_main)
    batch = min(recipe.optimiser.batch_size, len(store.images))
    total_steps = max(1, round(recipe.optimiser.epochs * len(store.images) / batch))
    order = ShuffledStream(len(store.images), recipe.seed, state.step * batch, total_steps * batch)
    drawn = iter(order)
    held_out = _held_out_crops(store, recipe)
    pace = Pace(checkpoint, recipe.checkpoint_minutes, processes, should_stop)
    means = RunningMeans()
    scores: dict[str, float] = {}
    with log.progress(recipe.name, total_steps, state.step) as progress:
        while state.step < total_steps:
            drawn_items = [next(drawn) % len(store.images) for _ in range(batch)]
            chosen = torch.tensor(drawn_items[processes.rank :: processes.world_size])
            # Step and seed alone determine a batch, so that a resumed run sees what the whole run would have seen.
            generator = generator_for(recipe.seed, state.step, processes.rank)
            images, targets = augmented_faces(store.images[chosen], recipe, generator)
            rate = state.set_learning_rates(total_steps)
            state.autoencoder.train()
            share = state.step / total_steps
            means.add(state.update(_to(target, images), _to(target, targets), share, generator))
            last = state.step == total_steps

            if state.step % LOG_EVERY == 0 or last:
                images_per_s = pace.per_second(means.count * batch)
                losses = {name: processes.mean(value) for name, value in means.take().items()}
                epoch = state.step * batch / len(store.images)
                log.write(step=state.step, epoch=epoch, **losses, images_per_s=images_per_s, lr=rate)
                progress(state.step, f"L1 {losses['reconstruction']:.1f}, {images_per_s:.0f} images/s")
            if (state.step % MEASURE_EVERY == 0 or last) and processes.is_main:
                with pace.paused():
                    scores = measure(state.averaged, held_out, target)
                    log.write(step=state.step, **scores)
                    log.say(f"step {state.step}: held-out RMSE {scores['rmse']:.2f}, SSIM {scores['ssim']:.3f}")
                    write_sample_grid(state.averaged, held_out[:12].to(target), out / "samples.png", recipe.seed)
            if pace.ends_here(state.save, last=last):
                log.say(f"stopped at step {state.step} of {total_steps}; go on with --resume")
                return None

    processes.wait()
    if not processes.is_main:
        return None
    scores = scores or measure(state.averaged, held_out, target)  # none where it was resumed at its very end
    counts = {"training_faces": len(store.images), "held_out_faces": len(held_out)}
    provenance = provenance_of(without_paths(recipe), precision, **counts, held_out=scores)
    path = out / RESULT_FILE
    save_autoencoder(path, TrainedAutoencoder(recipe.name, state.averaged, recipe.crop, provenance), half=True)
    return path


def without_paths(recipe: AutoencoderRecipe) -> AutoencoderRecipe:
    """The recipe as it may travel with an autoencoder: no folder of the machine that it was trained on."""
    return dataclasses.replace(
        recipe,
        start_from=Path(recipe.start_from.name) if recipe.start_from else None,
        faces=dataclasses.replace(recipe.faces, roots=()),
    )


def build_autoencoder(recipe: AutoencoderRecipe) -> Autoencoder:
    """The network of a recipe: new, or the one that it starts from, grown where that is of 128 px and this of 256.

    Raises:
        FewmarkError: the recipe starts from an autoencoder of another shape.
    """
    if recipe.start_from is None:
        return Autoencoder(recipe.network)
    start = load_autoencoder(recipe.start_from).autoencoder
    if start.config.input_size == 128 and recipe.network.input_size == 256:
        start = grow(start)
    if start.config != recipe.network:
        raise FewmarkError(f"{recipe.start_from}: is {start.config}, but the recipe asks for {recipe.network}")
    return start


def augmented_faces(stored: Tensor, recipe: AutoencoderRecipe, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Crops as the encoder sees them, and as they should be reconstructed.

    Covered, blurred and noisy faces are reconstructed as if they were not: the recipe's occlusion, blur and noise touch
    the input only. The paper's augmentations are geometric, and touch both.

    Args:
        stored: (B, 3, C, C) uint8, with room around the crop.

    Returns:
        Two (B, 3, S, S) float32 batches in 0..1.
    """
    targets = random_crops(stored, recipe.network.input_size, recipe.augmentation, generator, rule=recipe.crop).images
    return change_appearance(targets, recipe.augmentation, generator), targets


@torch.no_grad()
def measure(autoencoder: Autoencoder, images: Tensor, device: torch.device, batch: int = 64) -> dict[str, float]:
    """Mean RMSE (8-bit units) and SSIM of reconstructions (3FabRec, table 9).

    Args:
        images: (N, 3, S, S) float32 in 0..1.
    """
    autoencoder.eval()
    errors, similarities = [], []
    for part in images.split(batch):
        part = part.to(device)
        reconstruction = autoencoder(part)[0].float().clamp(0, 1)
        errors.append(rmse(part, reconstruction))
        similarities.append(ssim(part, reconstruction))
    return {"rmse": float(torch.cat(errors).mean()), "ssim": float(torch.cat(similarities).mean())}


def _linear_code(store: FaceStore, recipe: AutoencoderRecipe) -> LinearCode:
    """Of augmented faces, a function of the seed alone: a resumed run finds the same."""
    side = recipe.network.linear_side or SIDE
    generator = generator_for(recipe.seed)
    chosen = torch.randint(len(store.images), (recipe.linear_start.samples,), generator=generator)
    small = [
        F.avg_pool2d(augmented_faces(store.images[part], recipe, generator)[1], recipe.network.input_size // side)
        for part in chosen.split(256)
    ]
    return principal_components(torch.cat(small), recipe.network.z_dim, recipe.seed, side)


def _held_out_crops(store: FaceStore, recipe: AutoencoderRecipe) -> Tensor:
    """(N, 3, S, S) float32: the held-out faces as the network sees them, without augmentation."""
    return random_crops(
        store.held_out, recipe.network.input_size, AugmentationConfig(), torch.Generator(), rule=recipe.crop
    ).images


def _to(device: torch.device, images: Tensor) -> Tensor:
    return images.to(device, non_blocking=True).contiguous(memory_format=torch.channels_last)
