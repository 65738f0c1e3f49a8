"""Stage 1 of 3FabRec: the adversarial autoencoder, trained on faces without labels (sections 3.2 and 4.2.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from models.autoencoder.autoencoder import Autoencoder
from models.autoencoder.linear_code import LinearCode
from models.errors import FewmarkError
from models.files.autoencoder_file import TrainedAutoencoder, load_autoencoder, save_autoencoder
from models.surgery.growing import grow_autoencoder
from training.config import AugmentationConfig, AutoencoderRecipe, without_paths
from training.crops.random_appearance import change_appearance
from training.crops.random_crops import random_crops
from training.engine.adversarial_state import AdversarialState
from training.engine.processes import Processes
from training.engine.sample_grid import write_sample_grid
from training.engine.seeding import generator_for
from training.engine.training_run import Measured, Plan, Step, TrainingRun
from training.evaluation.image_metrics import rmse, ssim
from training.faces import FaceStore, load_faces
from training.losses.autoencoder_losses import face_window
from training.stages.principal_components import SIDE, principal_components

RESULT_FILE = "autoencoder.safetensors"
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
    run = TrainingRun(recipe, out, RESULT_FILE, resume=resume, processes=processes, should_stop=should_stop)
    state = AdversarialState(build_autoencoder(recipe), recipe, run.processes, run.precision)
    if resume:
        state.restore(run.checkpoint)
    store = load_faces(faces, size=recipe.network.input_size, held_out=recipe.faces.held_out)
    if state.step < recipe.linear_start.steps:
        state.components = _linear_code(store, recipe).to(run.device)
    if recipe.network.linear_side and recipe.start_from is None and not resume:
        state.start_linear(state.components or _linear_code(store, recipe))
    batch = min(recipe.optimiser.batch_size, len(store.images))
    steps = max(1, round(recipe.optimiser.epochs * len(store.images) / batch))
    plan = Plan(len(store.images), batch, steps, MEASURE_EVERY, shown="reconstruction")
    held_out = _held_out_crops(store, recipe)

    def advance(chosen: Tensor) -> Step:
        generator = generator_for(recipe.seed, state.step, run.processes.rank)
        images, targets = augmented_faces(store.images[chosen], recipe, generator)
        rate = state.set_learning_rates(steps)
        state.autoencoder.train()
        share = state.step / steps
        return Step(state.update(_to(run.device, images), _to(run.device, targets), share, generator), rate)

    def measure_held_out() -> Measured:
        scores = measure(state.averaged, held_out, run.device)
        write_sample_grid(state.averaged, held_out[:12].to(run.device), out / "samples.png", recipe.seed)
        return Measured(scores, f"held-out RMSE {scores['rmse']:.2f}, SSIM {scores['ssim']:.3f}")

    scores = run.carry_out(plan, state, advance, measure_held_out)
    if scores is None:
        return None
    counts = {"training_faces": len(store.images), "held_out_faces": len(held_out)}
    provenance = run.provenance(without_paths(recipe), **counts, held_out=scores)
    path = out / RESULT_FILE
    save_autoencoder(path, TrainedAutoencoder(recipe.name, state.averaged, recipe.crop, provenance), half=True)
    return path


def build_autoencoder(recipe: AutoencoderRecipe) -> Autoencoder:
    """The network of a recipe: new, or the one that it starts from, grown where that is of 128 px and this of 256.

    Raises:
        FewmarkError: the recipe starts from an autoencoder of another shape.
    """
    if recipe.start_from is None:
        return Autoencoder(recipe.network)
    start = load_autoencoder(recipe.start_from).autoencoder
    if start.config.input_size == 128 and recipe.network.input_size == 256:
        start = grow_autoencoder(start)
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
    small = LinearCode(side, recipe.network.z_dim).small
    images = torch.cat([small(augmented_faces(store.images[part], recipe, generator)[1]) for part in chosen.split(256)])
    emphasis = face_window(side, recipe.loss.border)
    return principal_components(images.unflatten(1, (3, side, side)), recipe.network.z_dim, recipe.seed, side, emphasis)


def _held_out_crops(store: FaceStore, recipe: AutoencoderRecipe) -> Tensor:
    """(N, 3, S, S) float32: the held-out faces as the network sees them, without augmentation."""
    return random_crops(
        store.held_out, recipe.network.input_size, AugmentationConfig(), torch.Generator(), rule=recipe.crop
    ).images


def _to(device: torch.device, images: Tensor) -> Tensor:
    return images.to(device, non_blocking=True).contiguous(memory_format=torch.channels_last)
