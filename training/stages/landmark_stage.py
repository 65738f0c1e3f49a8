"""Supervised training of the landmark path."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.decoding.shape_prior import ShapePrior
from models.errors import FewmarkError
from models.files.model_file import FaceModel, save_model
from models.networks.base import LandmarkNetwork
from models.networks.interleaved.face_network import interleaved
from models.registry import TRAINED_MODEL_FILE
from tracker.config import DetectionConfig
from tracker.following.pipeline import open_detector
from training.config import LandmarkRecipe, without_paths
from training.crops.face_square import needs_face_square, with_face_square
from training.crops.label_offset import EARLY, LabelOffset
from training.crops.labelled_crops import LabelledCrops, load_crops
from training.datasets import FaceSample, get_dataset, split_validation
from training.engine.precision import autocast
from training.engine.processes import Processes
from training.engine.schedule import Schedule
from training.engine.seeding import generator_for
from training.engine.training_run import Measured, Plan, Step, TrainingRun
from training.engine.training_state import Companion, TrainingState
from training.evaluation.metrics import failure_rate, nme_per_face, point_errors
from training.stages.landmark_objective import LandmarkObjective, Targets
from training.stages.starting_point import StartingPoint
from training.stages.teacher import Teacher

RESULT_FILE = TRAINED_MODEL_FILE
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
    notes: list[str] = []
    recipe, train, validation = _fitted_to_scheme(recipe, train, validation, notes.append)
    run = TrainingRun(recipe, out, RESULT_FILE, resume=resume, processes=processes, should_stop=should_stop)
    scheme, along = train[0].scheme, recipe.reconstruction_weight > 0
    start = StartingPoint(recipe)
    network = start.build_network(scheme)
    if along:
        interleaved(network, f"recipe {recipe.name}: reconstruction_weight")
    teacher = Teacher(recipe, scheme) if recipe.unlabelled.weight > 0 else None
    offset = LabelOffset(mirrors=recipe.augmentation.flip > 0)
    companions: dict[str, Companion] = {"label_offset": offset} | ({"teacher": teacher} if teacher else {})
    state = TrainingState(
        network, recipe.optimiser, run.processes, run.precision, reconstructs_along=along, companions=companions
    )
    if resume:
        state.restore(run.checkpoint, recipe.phases)
    size = recipe.network.input_size
    crops = load_crops(train, size, recipe.crop, recipe.augmentation)
    if not resume:
        start.start_last_layer(network, crops)
        state.averaged.load_state_dict(network.state_dict())
    held_out = load_crops(validation, size, recipe.crop) if validation and run.processes.is_main else None
    notes += [f"skipped {line}" for line in (*crops.skipped, *(held_out.skipped if held_out else ()))]

    learning = _Learning(recipe, run, state, crops, held_out, teacher, offset)
    scores = run.carry_out(learning.plan, state, learning.advance, learning.measure if held_out else None, notes)
    if scores is None:
        return None
    provenance = run.provenance(
        without_paths(recipe),
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
        carries=start.kept_autoencoder,
        shape_prior=learning.prior,
        label_offset=offset.value,
    )
    path = out / RESULT_FILE
    save_model(path, trained, half=True)
    return path


class _Learning:
    """What a step and a measurement of landmark training are."""

    def __init__(
        self,
        recipe: LandmarkRecipe,
        run: TrainingRun,
        state: TrainingState,
        crops: LabelledCrops,
        held_out: LabelledCrops | None,
        teacher: Teacher | None,
        offset: LabelOffset,
    ) -> None:
        self._recipe, self._run, self._state = recipe, run, state
        self._crops, self._held_out, self._teacher, self._offset = crops, held_out, teacher, offset
        batch = min(recipe.optimiser.batch_size, len(crops))
        self._schedule = Schedule(recipe.phases, len(crops) / batch)
        self._objective = LandmarkObjective(recipe)
        self._to_learn = crops.shifted(-offset.value)
        self.plan = Plan(
            faces=len(crops),
            batch=batch,
            steps=self._schedule.total_steps,
            measure_every=max(round(len(crops) / batch), MIN_STEPS_TO_VALIDATION),
            shown="loss",
        )

    @property
    def prior(self) -> ShapePrior | None:
        """What the teacher has learned of how landmarks lie to each other."""
        return self._teacher.prior if self._teacher else None

    def advance(self, chosen: Tensor) -> Step:
        """A step on the faces of these numbers, and on some without labels where there is a teacher."""
        recipe, run, state = self._recipe, self._run, self._state
        number, phase, factor = self._schedule.at(state.step)
        state.enter(number, phase)
        generator = generator_for(recipe.seed, state.step)
        images, points, visible = self._to_learn.augmented(
            chosen, recipe.augmentation, generator, run.share, run.device
        )
        images = images.contiguous(memory_format=torch.channels_last)
        unlabelled = None
        if self._teacher is not None and state.step >= recipe.unlabelled.from_step:
            unlabelled = self._teacher.batch(state.step, state.averaged, run.device, run.processes.rank)
        with autocast(run.precision, run.device):
            loss = self._objective(state.shared_network, images, Targets(points, visible), unlabelled)
        state.update(loss, factor)
        if state.step in (EARLY, self.plan.steps) or state.step % self.plan.measure_every == 0:
            offset = self._offset.look(state.averaged, self._crops, run.device, self.prior)
            self._to_learn = self._crops.shifted(-offset)
        return Step({"loss": loss}, factor * phase.head)

    def measure(self) -> Measured:
        """NME of the averaged network on the held-out faces."""
        assert self._held_out is not None
        scores = validate(
            self._state.averaged,
            self._held_out,
            self.plan.batch,
            self._run.device,
            self.prior,
            self._offset.value,
        )
        return Measured(scores, f"validation NME {scores['nme_percent']:.2f} %")


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


@torch.no_grad()
def validate(
    network: LandmarkNetwork,
    crops: LabelledCrops,
    batch_size: int,
    device: torch.device,
    prior: ShapePrior | None = None,
    label_offset: float = 0.0,
) -> dict[str, float]:
    """NME and failure rate on unaugmented crops around the labels; ``label_offset`` is a share of the crop's side."""
    network.eval()
    prior = copy.deepcopy(prior).to(device) if prior else None
    predicted, truth = [], []
    for images, points, _ in crops.exact(batch_size):
        found = network.locate(images.to(device), prior).points
        found[..., 0] += label_offset * crops.size
        predicted.append(found.cpu().numpy())
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
