"""What a training run carries from step to step, on disk and back."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, cast

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from models.errors import FewmarkError
from models.networks.base import LandmarkNetwork
from training.config import OptimiserConfig, PhaseConfig
from training.engine.processes import Processes

TensorList = tuple[Tensor, ...] | list[Tensor]


class Companion(Protocol):
    """What learns beside the network."""

    def state(self) -> dict[str, Tensor]:
        """What it has learned."""

    def restore(self, state: dict[str, Tensor]) -> None:
        """Goes on with what ``state`` gave."""


class TrainingState:
    """The network, its moving average, and the optimiser of the current phase.

    Args:
        companions: go into the checkpoint too, each under its name.
    """

    def __init__(
        self,
        network: LandmarkNetwork,
        settings: OptimiserConfig,
        processes: Processes,
        precision: str,
        *,
        reconstructs_along: bool = False,
        companions: Mapping[str, Companion] = MappingProxyType({}),
    ) -> None:
        # Few channels, transposed convolutions: channels last is as fast in float32, and faster in half precision.
        network.to(processes.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.step = 0
        self.settings = settings
        self.network = network
        self.shared_network = network  # the one to compute losses with: gradients of all processes meet in it
        self._processes = processes
        self.scaler = torch.amp.GradScaler(processes.device.type, enabled=precision == "fp16")
        self._average = AveragedModel(network, multi_avg_fn=moving_average(settings.ema_decay), use_buffers=True)
        self._reconstructs_along = reconstructs_along
        self._companions = companions
        self._phase = -1

    @property
    def averaged(self) -> LandmarkNetwork:
        """The network with the moving average of all weights so far: what is validated and shipped."""
        return cast(LandmarkNetwork, self._average.module)

    def enter(self, number: int, phase: PhaseConfig) -> None:
        """Puts the network into training mode for a phase; the first time with a new optimiser.

        Frozen parts keep their batch statistics: they would drift away from what they were trained with. So does a
        decoder that is passed twice in a step, for heatmaps and for the reconstruction: the running mean of two
        different distributions fits neither of them.
        """
        parts = self.network.parts
        rates = {name: float(getattr(phase, name)) for name in parts}
        for name, rate in rates.items():
            parts[name].train(rate > 0 and not (name == "decoder" and self._reconstructs_along))
        if number == self._phase:
            return
        self._phase = number
        for name, rate in rates.items():
            parts[name].requires_grad_(rate > 0)
        groups = [
            {"params": list(parts[name].parameters()), "lr": rate, "full_rate": rate}
            for name, rate in rates.items()
            if rate > 0
        ]
        self.optimiser = torch.optim.AdamW(groups, weight_decay=self.settings.weight_decay)
        self.shared_network = self._processes.share_gradients(self.network)

    def update(self, loss: Tensor, factor: float) -> None:
        """One optimiser step with every learning rate times ``factor``."""
        for group in self.optimiser.param_groups:
            group["lr"] = group["full_rate"] * factor
        self.optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimiser)
        trained = [p for group in self.optimiser.param_groups for p in group["params"]]
        torch.nn.utils.clip_grad_norm_(trained, self.settings.gradient_clip)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self._average.update_parameters(self.network)
        self.step += 1

    def save(self, path: Path) -> None:
        """Writes a checkpoint, whole or not at all."""
        state = {
            "network": self.network.state_dict(),
            "ema": self._average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "phase": self._phase,
            "step": self.step,
            "companions": {name: companion.state() for name, companion in self._companions.items()},
        }
        save_checkpoint(path, state)

    def restore(self, path: Path, phases: Sequence[PhaseConfig]) -> None:
        """Goes on where ``save`` left off.

        Raises:
            FewmarkError: there is no checkpoint, or it is of another network or recipe.
        """
        state = load_checkpoint(path)
        try:
            number = int(state["phase"])
            self.enter(number, phases[number])
            self.network.load_state_dict(state["network"])
            self._average.load_state_dict(state["ema"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.scaler.load_state_dict(state["scaler"])
            self.step = int(state["step"])
            for name, companion in self._companions.items():
                companion.restore(state["companions"][name])
        except (KeyError, IndexError, ValueError, RuntimeError) as error:
            raise FewmarkError(f"{path}: is of another network or recipe ({error}); use another --out") from error


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Writes a checkpoint whole or not at all: with a full disk or a lost machine the previous one survives.

    Raises:
        FewmarkError: it can't be written.
    """
    partial = path.with_suffix(".part")
    try:
        with partial.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except (OSError, RuntimeError) as error:
        partial.unlink(missing_ok=True)
        kept = "; the previous checkpoint is kept" if path.exists() else ""
        raise FewmarkError(f"{path}: the checkpoint can't be written ({error}){kept}; make room and resume") from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """What ``save_checkpoint`` wrote, on the CPU.

    Raises:
        FewmarkError: there is none, or it is damaged.
    """
    if not path.is_file():
        raise FewmarkError(f"{path}: nothing to resume here; leave --resume away to start")
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise FewmarkError(f"{path}: not a readable checkpoint ({error}); start the run again") from error
    return state


def moving_average(decay: float) -> Callable[[TensorList, TensorList, Tensor | int], None]:
    """An exponential moving average whose memory grows with its age: the random weights of the start are soon gone."""

    @torch.no_grad()
    def update(averaged: TensorList, current: TensorList, count: Tensor | int) -> None:
        weight = 1 - min(decay, (1 + int(count)) / (10 + int(count)))
        if averaged[0].is_floating_point():
            torch._foreach_lerp_(averaged, current, weight)
        else:  # counters of batches
            torch._foreach_copy_(averaged, current)

    return update
