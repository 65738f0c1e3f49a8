"""Between the stages: a network of the landmark run's own shape learns dense descriptors from faces without labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from models.autoencoder.autoencoder import Autoencoder
from models.autoencoder.blocks import initialise
from models.errors import FewmarkError
from models.files.descriptor_file import TrainedDescriptors, save_descriptors
from models.files.model_file import FaceModel
from models.networks.base import LandmarkNetwork
from models.networks.registry import build_network
from training.config import DescriptorRecipe, without_paths
from training.engine.precision import autocast
from training.engine.processes import Processes
from training.engine.schedule import Schedule
from training.engine.seeding import generator_for
from training.engine.training_run import Measured, Plan, Step, TrainingRun
from training.engine.training_state import TrainingState
from training.faces import load_faces
from training.stages.descriptor_matching import Views, match, matching_error, matching_loss, random_views
from training.stages.starting_point import check_fit, load_start, start_from_autoencoder

RESULT_FILE = "descriptors.safetensors"
MEASURE_EVERY = 250  # steps
_MEASURED = 128  # held-out faces


def train_descriptors(
    recipe: DescriptorRecipe,
    faces: Sequence[Path],
    out: Path,
    *,
    resume: bool = False,
    processes: Processes | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Path | None:
    """Teaches a network descriptors by a recipe and writes ``descriptors.safetensors`` (averaged weights) to ``out``.

    Beside it: ``recipe.toml``, ``metrics.jsonl`` (losses every 20 steps, matching errors on held-out faces every 250)
    and ``checkpoint.pt``, from which ``resume`` goes on.

    Args:
        faces: folders that ``fewmark prepare-faces`` made.
        processes: of several, each takes its share of every batch, and the main one writes.
        should_stop: asked after every step; when it says so a checkpoint is written and the run ends.

    Returns:
        The path of the file, in the main process; None in others, and if the run was stopped.

    Raises:
        FewmarkError: no faces, nothing to resume, ``out`` holds another run, or the recipe starts from an autoencoder
            of another shape.
    """
    run = TrainingRun(recipe, out, RESULT_FILE, resume=resume, processes=processes, should_stop=should_stop)
    network, autoencoder = build_descriptor_network(recipe)
    state = TrainingState(network, recipe.optimiser, run.processes, run.precision)
    if resume:
        state.restore(run.checkpoint, (recipe.phase,))
    store = load_faces(faces, size=recipe.network.input_size, held_out=recipe.faces.held_out)
    batch = min(recipe.optimiser.batch_size, len(store.images))
    schedule = Schedule((recipe.phase,), len(store.images) / batch)
    plan = Plan(len(store.images), batch, schedule.total_steps, MEASURE_EVERY, shown="exchanged")
    views_of_held_out = _views(store.held_out[:_MEASURED], recipe, generator_for(recipe.seed))

    def advance(chosen: Tensor) -> Step:
        generator = generator_for(recipe.seed, state.step, run.processes.rank)
        views = _to(run.device, _views(store.images[chosen], recipe, generator))
        number, phase, factor = schedule.at(state.step)
        state.enter(number, phase)
        with autocast(run.precision, run.device):
            matches = match(state.shared_network(views.images), views, recipe.matching.temperature)
            direct, exchanged = matching_loss(matches, views, sigma=recipe.matching.sigma)
            loss = direct + recipe.matching.exchange_weight * exchanged
        state.update(loss, factor)
        return Step({"direct": direct, "exchanged": exchanged}, factor * phase.head)

    def measure_held_out() -> Measured:
        scores = measure(state.averaged, views_of_held_out, recipe, run.device)
        direct, exchanged = scores["direct_percent"], scores["exchanged_percent"]
        text = f"held-out faces matched to {direct:.1f} % of the crop, through another face to {exchanged:.1f} %"
        return Measured(scores, text)

    scores = run.carry_out(plan, state, advance, measure_held_out)
    if scores is None:
        return None
    counts = {"training_faces": len(store.images), "held_out_faces": len(store.held_out)}
    provenance = run.provenance(without_paths(recipe), **counts, held_out=scores)
    path = out / RESULT_FILE
    trained = TrainedDescriptors(
        recipe.name, state.averaged, recipe.crop, recipe.matching.temperature, provenance, autoencoder
    )
    save_descriptors(path, trained, half=True)
    return path


def build_descriptor_network(recipe: DescriptorRecipe) -> tuple[LandmarkNetwork, Autoencoder | None]:
    """The network of a recipe with the weights that it starts from, and the autoencoder that goes along.

    From an autoencoder come encoder and decoder, from descriptors everything.

    Raises:
        FewmarkError: the recipe starts from something else, or from what has another shape or crop rule.
    """
    network = build_network(dataclasses.replace(recipe.network, num_landmarks=recipe.matching.channels))
    initialise(network.last_layer)  # not as for heatmaps, which start flat: the length of a descriptor does not matter
    if recipe.start_from is None:
        return network, None
    start = load_start(recipe.start_from)
    if isinstance(start, FaceModel):
        raise FewmarkError(f"{recipe.start_from}: is a model; descriptors start from descriptors or an autoencoder")
    if isinstance(start, TrainedDescriptors):
        check_fit(recipe, start.network.config, network.config, start.crop_rule)
        network.load_state_dict(start.network.state_dict())
    else:
        start_from_autoencoder(network, start.autoencoder, recipe, start.crop_rule)
    return network, start.autoencoder


@torch.no_grad()
def measure(network: LandmarkNetwork, views: Views, recipe: DescriptorRecipe, device: torch.device) -> dict[str, float]:
    """Mean errors of matches between two views, in per cent of the crop's side, direct and through another face."""
    network.eval()
    count, batch = len(views.first), 16
    errors = []
    for start in range(0, count - count % batch or count, batch):
        part = slice(start, start + batch)
        images = torch.cat((views.images[:count][part], views.images[count:][part]))
        some = _to(device, Views(images, views.first[part], views.second[part]))
        found = match(network(some.images), some, recipe.matching.temperature)
        errors.append(torch.stack(matching_error(found, some)))
    direct, exchanged = torch.stack(errors).mean(dim=0).tolist()
    return {"direct_percent": round(direct, 3), "exchanged_percent": round(exchanged, 3)}


def _views(stored: Tensor, recipe: DescriptorRecipe, generator: torch.Generator) -> Views:
    size, places = recipe.network.input_size, recipe.matching.places
    return random_views(stored, size, places, recipe.augmentation, generator, recipe.crop)


def _to(device: torch.device, views: Views) -> Views:
    images = views.images.to(device, non_blocking=True).contiguous(memory_format=torch.channels_last)
    return Views(images, views.first.to(device), views.second.to(device))
