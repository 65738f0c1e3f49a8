"""What every training run does around its steps: checkpoints, metrics, a progress bar, measurements, a clean end."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from models.errors import FewmarkError
from training.config import Recipe
from training.crops.random_draws import Share
from training.engine.pace import Pace, claim_checkpoint
from training.engine.precision import resolve_precision
from training.engine.processes import Processes, start_processes
from training.engine.run_log import RunLog, RunningMeans, provenance_of
from training.engine.seeding import face_numbers

LOG_EVERY = 20  # steps
_PATIENCE = 60  # steps without a finite loss; half precision skips one now and then, and recovers


class Steppable(Protocol):
    """What a run carries from step to step."""

    step: int  # steps done

    def save(self, path: Path) -> None:
        """Writes a checkpoint, whole or not at all."""


class Step(NamedTuple):
    """What a step tells."""

    losses: Mapping[str, Tensor]  # scalars
    learning_rate: float


class Measured(NamedTuple):
    """What a measurement on held-out faces tells."""

    scores: dict[str, float]
    text: str  # for a person


@dataclass(frozen=True, slots=True)
class Plan:
    """How long a run is, and how often it measures."""

    faces: int  # to train on
    batch: int  # faces in a step, over all processes
    steps: int
    measure_every: int  # steps
    shown: str  # the loss beside the progress bar

    @property
    def steps_per_epoch(self) -> float:
        """Steps in which as many faces are seen as there are."""
        return self.faces / self.batch


class TrainingRun:
    """A training run in a folder of its own, in one process or in several.

    Where it is resumed, its steps are those of an uninterrupted run: what a step does is determined by the recipe and
    the step's number.

    Args:
        result: name of the file that a whole run leaves in ``out``.
        should_stop: asked after every step; when it says so a checkpoint is written and the run ends.

    Raises:
        FewmarkError: ``out`` holds a run, and it is not to be resumed; or the device lacks the recipe's precision.
    """

    def __init__(
        self,
        recipe: Recipe,
        out: Path,
        result: str,
        *,
        resume: bool,
        processes: Processes | None,
        should_stop: Callable[[], bool],
    ) -> None:
        self.recipe, self.out = recipe, out
        self.processes = processes or start_processes()
        self.device = self.processes.device
        self.precision = resolve_precision(recipe.precision, self.device)
        self.checkpoint = claim_checkpoint(out, result, resume=resume)
        self.share = Share(self.processes.rank, self.processes.world_size)
        self._should_stop = should_stop
        torch.manual_seed(recipe.seed)

    def carry_out(
        self,
        plan: Plan,
        state: Steppable,
        advance: Callable[[Tensor], Step],
        measure: Callable[[], Measured] | None,
        notes: Sequence[str] = (),
    ) -> dict[str, float] | None:
        """Takes all steps that the state has not taken yet.

        Args:
            advance: takes a step with the faces of these numbers, (B,) int64: this process's share of the batch.
            measure: on held-out faces, in the main process; None: there are none.
            notes: lines to begin with.

        Returns:
            The last scores (empty without ``measure``); None where the run was stopped, and in all processes but the
            main one.

        Raises:
            FewmarkError: the loss is no number any more.
        """
        processes, total = self.processes, plan.steps
        processes.wait()  # until all have looked for a checkpoint
        log = RunLog(self.out, self.recipe, processes.is_main)
        pace = Pace(self.checkpoint, self.recipe.checkpoint_minutes, processes, self._should_stop)
        means = RunningMeans()
        finite_at = state.step  # when all losses were last finite
        scores: dict[str, float] = {}
        with log.progress(self.recipe.name, total, state.step) as progress:
            for line in notes:
                log.say(line)
            for numbers in face_numbers(plan.faces, plan.batch, self.recipe.seed, range(state.step, total)):
                losses, rate = advance(numbers[self.share.slice])
                means.add({name: loss.detach() for name, loss in losses.items()})
                last = state.step == total
                epoch = state.step / plan.steps_per_epoch
                if state.step % LOG_EVERY == 0 or last:
                    speed = pace.per_second(means.count * plan.batch)
                    found = {name: processes.mean(value) for name, value in means.take().items()}
                    log.write(step=state.step, epoch=epoch, **found, images_per_s=speed, lr=rate)
                    finite_at = state.step if all(map(math.isfinite, found.values())) else finite_at
                    if state.step - finite_at >= _PATIENCE:
                        raise FewmarkError(
                            f"recipe {self.recipe.name}: since step {finite_at} the loss is no number; start again "
                            "with smaller learning rates, or with --precision fp32 if that was not it already"
                        )
                    progress(state.step, f"{plan.shown} {found[plan.shown]:.3g}, {speed:.0f} images/s")
                if measure and processes.is_main and (state.step % plan.measure_every == 0 or last):
                    with pace.paused():
                        scores, text = measure()
                    log.write(step=state.step, epoch=epoch, **scores)
                    log.say(f"epoch {epoch:.1f}: {text}")
                if pace.ends_here(state.save, last=last):
                    log.say(f"stopped at step {state.step} of {total}; go on with --resume")
                    return None
        processes.wait()
        if not processes.is_main:
            return None
        if measure and not scores:  # resumed at its very end
            scores = measure().scores
        return scores

    def provenance(self, recipe: object, **facts: Any) -> dict[str, Any]:
        """How its result came about, see ``provenance_of``."""
        return provenance_of(recipe, self.precision, **facts)
