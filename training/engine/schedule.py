"""Learning rates from step to step, over the phases of a run."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from training.config import PhaseConfig


class ScheduledStep(NamedTuple):
    """What holds for one step."""

    number: int  # of the phase
    phase: PhaseConfig
    factor: float  # of the phase's learning rates, 0..1


class Schedule:
    """The phases of a run, one after the other."""

    def __init__(self, phases: Sequence[PhaseConfig], steps_per_epoch: float) -> None:
        self._phases = phases
        self._ends = phase_ends(phases, steps_per_epoch)

    @property
    def total_steps(self) -> int:
        return self._ends[-1]

    def at(self, step: int) -> ScheduledStep:
        """What holds for the step of that number, from 0 on."""
        number = bisect_right(self._ends, step)
        phase, begun = self._phases[number], self._ends[number - 1] if number else 0
        length = self._ends[number] - begun
        factor = learning_rate_factor(step - begun, phase.warmup_steps, length, phase.schedule)
        return ScheduledStep(number, phase, factor)


def phase_ends(phases: Sequence[PhaseConfig], steps_per_epoch: float) -> list[int]:
    """The step before which each phase ends; every phase has at least one."""
    return list(accumulate(max(phase.min_steps, round(phase.epochs * steps_per_epoch), 1) for phase in phases))


def learning_rate_factor(step: int, warmup_steps: int, total_steps: int, schedule: str = "cosine") -> float:
    """Linear warm-up from 0, then half a cosine down to 0, or 1 throughout; 0..1."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if schedule == "constant":
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - warmup_steps) / max(1, total_steps - warmup_steps)))
