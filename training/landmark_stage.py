"""Supervised training of the landmark path: one loop, read top to bottom.

The loop counts steps, not epochs: the stream of samples is a function of the seed alone, so that a resumed run sees
what the uninterrupted one would have seen.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import torch

from models.checkpoint import FaceModel, save_model
from models.errors import FewmarkError
from models.face_network import FaceNetwork
from models.registry import TRAINED_MODEL_FILE
from tracker.config import DetectionConfig
from tracker.pipeline import open_detector
from training.config import LandmarkRecipe
from training.crop_stream import CropStream, LabelledCrops, load_crops
from training.datasets import FaceSample, get_dataset, split_validation
from training.face_square import needs_face_square, with_face_square
from training.landmark_objective import LandmarkObjective, Targets
from training.metrics import failure_rate, nme_per_face, point_errors
from training.pace import Pace, claim_checkpoint
from training.precision import autocast, resolve_precision
from training.processes import Processes, start_processes
from training.run_log import RunLog, RunningMeans, provenance_of
from training.schedule import Schedule
from training.starting_point import StartingPoint
from training.teacher import Teacher
from training.training_state import TrainingState

RESULT_FILE = TRAINED_MODEL_FILE
LOG_EVERY = 20  # steps
MIN_STEPS_TO_VALIDATION = 100  # with few labelled faces an epoch is over at once


def train_landmarks(
    recipe: LandmarkRecipe,
    data_root: Path,
    out: Path,
    *,
    resume: bool = False,
    processes: Processes | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    report: Callable[[str], None] = print,
) -> Path | None:
    """Trains a network by a recipe and writes ``model.safetensors`` (averaged weights) to ``out``.

    Beside it: ``recipe.toml``, ``metrics.jsonl`` (a line every 20 steps and every validation) and ``checkpoint.pt``,
    from which ``resume`` goes on.

    Args:
        processes: of several, each takes its share of every batch, and the main one measures and writes.
        should_stop: asked after every step; when it says so a checkpoint is written and the run ends.

    Returns:
        The path of the model file, in the main process; None in others, and if the run was stopped.

    Raises:
        FewmarkError: no data, nothing to resume, ``out`` holds another run, or faces can't be mirrored as asked.
    """
    train, validation = read_faces(recipe, data_root, report)
    return train_on_faces(recipe, train, validation, out, resume=resume, processes=processes, should_stop=should_stop)


def train_on_faces(
    recipe: LandmarkRecipe,
    train: Sequence[FaceSample],
    validation: Sequence[FaceSample],
    out: Path,
    *,
    resume: bool = False,
    processes: Processes | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Path | None:
    """``train_landmarks`` on faces that are at hand already; without ``validation`` nothing is measured."""
    processes = processes or start_processes()
    target = processes.device
    precision = resolve_precision(recipe.precision, target)
    checkpoint = claim_checkpoint(out, RESULT_FILE, resume=resume)
    notes: list[str] = []
    recipe, train, validation = _fitted_to_scheme(recipe, train, validation, notes.append)
    scheme = train[0].scheme
    torch.manual_seed(recipe.seed)
    along = recipe.loss.reconstruction_weight > 0
    start = StartingPoint(recipe)
    network = start.build_network(scheme)
    size = recipe.network.input_size
    state = TrainingState(network, recipe.optimiser, processes, precision, reconstructs_along=along)
    if resume:
        state.restore(checkpoint, recipe.phases)
    crops = load_crops(train, size, recipe.crop, recipe.augmentation)
    if not resume:
        start.start_last_layer(network, crops)
        state.averaged.load_state_dict(network.state_dict())
    teacher = Teacher(recipe, scheme) if recipe.unlabelled.weight > 0 else None
    processes.wait()  # until all have looked for a checkpoint
    log = RunLog(out, recipe, processes.is_main)

    held_out = load_crops(validation, size, recipe.crop) if validation and processes.is_main else None
    skipped = (*crops.skipped, *(held_out.skipped if held_out else ()))
    batch = min(recipe.optimiser.batch_size, len(crops))
    steps_per_epoch = len(crops) / batch
    schedule = Schedule(recipe.phases, steps_per_epoch)
    total_steps = schedule.total_steps
    validate_every = max(round(steps_per_epoch), MIN_STEPS_TO_VALIDATION)
    stream = CropStream(
        crops,
        recipe.augmentation,
        batch_size=batch,
        seed=recipe.seed,
        start_step=state.step,
        total_steps=total_steps,
        rank=processes.rank,
        world_size=processes.world_size,
        device=target,
    )
    objective = LandmarkObjective(recipe)
    pace = Pace(checkpoint, recipe.checkpoint_minutes, processes, should_stop)
    means = RunningMeans()
    scores: dict[str, float] = {}
    with log.progress(recipe.name, total_steps, state.step) as progress:
        for line in (*notes, *(f"skipped {line}" for line in skipped)):
            log.say(line)
        for images, points, visible in stream:
            number, phase, factor = schedule.at(state.step)
            state.enter(number, phase)
            images = images.contiguous(memory_format=torch.channels_last)
            unlabelled = None
            if teacher is not None and state.step >= recipe.unlabelled.from_step:
                unlabelled = teacher.batch(state.step, state.averaged, target, processes.rank)
            with autocast(precision, target):
                loss = objective(state.shared_network, images, Targets(points, visible), unlabelled)
            state.update(loss, factor)
            means.add({"loss": loss.detach()})
            last = state.step == total_steps
            epoch = state.step / steps_per_epoch

            if state.step % LOG_EVERY == 0 or last:
                images_per_s = pace.per_second(means.count * batch)
                mean = processes.mean(means.take()["loss"])
                log.write(step=state.step, epoch=epoch, loss=mean, images_per_s=images_per_s, lr=factor * phase.head)
                progress(state.step, f"loss {mean:.3f}, {images_per_s:.0f} images/s")
            if held_out and (state.step % validate_every == 0 or last):
                with pace.paused():
                    scores = validate(state.averaged, held_out, batch, target)
                log.write(step=state.step, epoch=epoch, **scores)
                log.say(f"epoch {epoch:.1f}: validation NME {scores['nme_percent']:.2f} %")
            if pace.ends_here(state.save, last=last):
                log.say(f"stopped at step {state.step} of {total_steps}; go on with --resume")
                return None

    processes.wait()
    if not processes.is_main:
        return None
    if held_out and not scores:  # resumed at its very end
        scores = validate(state.averaged, held_out, batch, target)
    path = out / RESULT_FILE
    provenance = provenance_of(
        without_paths(recipe),
        precision,
        training_faces=len(crops),
        validation_faces=len(held_out) if held_out else 0,
        validation=scores,
        unlabelled_faces=len(teacher) if teacher else 0,
    )
    trained = FaceModel(
        recipe.name,
        state.averaged,
        scheme,
        recipe.crop,
        start.keeps_reconstructing,
        provenance=provenance,
        autoencoder=start.kept_autoencoder,
    )
    save_model(path, trained, half=True)
    return path


def _fitted_to_scheme(
    recipe: LandmarkRecipe,
    train: Sequence[FaceSample],
    validation: Sequence[FaceSample],
    report: Callable[[str], None],
) -> tuple[LandmarkRecipe, Sequence[FaceSample], Sequence[FaceSample]]:
    """What the landmarks allow and need: a square around the face where they don't tell it, level crops, mirroring.

    Raises:
        FewmarkError: faces are to be mirrored, and the scheme does not say how.
    """
    scheme = train[0].scheme
    if recipe.augmentation.flip > 0 and not scheme.mirror_pairs:
        raise FewmarkError(
            f"recipe {recipe.name}: augmentation: flip = {recipe.augmentation.flip:g}, but nobody says which points of "
            f"scheme {scheme.name} change places in a mirror; name them left_... and right_..., or set flip = 0"
        )
    if needs_face_square(scheme):
        with closing(open_detector(DetectionConfig(), report=report)) as detector:
            scheme = with_face_square(scheme, train, detector, report)
        train = [dataclasses.replace(face, scheme=scheme) for face in train]
        validation = [dataclasses.replace(face, scheme=scheme) for face in validation]
    if scheme.level_points is None:  # a crop can't be turned by what no point tells
        recipe = dataclasses.replace(recipe, crop=dataclasses.replace(recipe.crop, level=False))
    return recipe, train, validation


def without_paths(recipe: LandmarkRecipe) -> LandmarkRecipe:
    """The recipe as it may travel with a model: no folder of the machine that it was trained on."""
    return dataclasses.replace(
        recipe,
        start_from=Path(recipe.start_from.name) if recipe.start_from else None,
        data=dataclasses.replace(recipe.data, root=None),
        unlabelled=dataclasses.replace(
            recipe.unlabelled, roots=(), labels=Path(labels.name) if (labels := recipe.unlabelled.labels) else None
        ),
    )


@torch.no_grad()
def validate(network: FaceNetwork, crops: LabelledCrops, batch_size: int, device: torch.device) -> dict[str, float]:
    """NME and failure rate on unaugmented crops around the labels."""
    network.eval()
    predicted, truth = [], []
    for images, points, _ in crops.exact(batch_size):
        predicted.append(network.locate(images.to(device)).points.cpu().numpy())
        truth.append(points.numpy())
    visible = crops.visible.numpy() > 0
    errors = point_errors(np.concatenate(predicted), np.concatenate(truth), visible, crops.scheme)
    nme = nme_per_face(errors)
    return {"nme_percent": round(100 * float(np.nanmean(nme)), 4), "failure_rate": round(failure_rate(nme), 4)}


def read_faces(
    recipe: LandmarkRecipe, data_root: Path, report: Callable[[str], None]
) -> tuple[list[FaceSample], list[FaceSample]]:
    """The faces to train on and those held out, as a recipe splits them; what can't be read is reported.

    Raises:
        FewmarkError: there is no face to train on.
    """
    found = get_dataset(recipe.data.dataset).read(data_root, "train")
    for line in found.skipped:
        report(f"skipped {line}")
    train, validation = split_validation(found.samples, recipe.data.validation)
    if not train:
        raise FewmarkError(f"{data_root}: no labelled face to train on")
    return train, validation
