"""What a training run carries from step to step, on disk and back."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import cast

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from models.errors import FewmarkError
from models.face_network import FaceNetwork
from training.config import OptimiserConfig

TensorList = tuple[Tensor, ...] | list[Tensor]


class TrainingState:
    """The network, its moving average, and the optimiser."""

    def __init__(self, network: FaceNetwork, settings: OptimiserConfig, device: torch.device, precision: str) -> None:
        # oneDNN and cuDNN are fastest with channels last in half precision; in float32 on a CPU it makes no difference.
        self.layout = torch.contiguous_format if precision == "fp32" else torch.channels_last
        network.to(device, memory_format=self.layout)  # type: ignore[call-overload]
        self.step = 0
        self.settings = settings
        self.network = network
        self.optimiser = torch.optim.AdamW(
            network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")
        self._average = AveragedModel(network, multi_avg_fn=moving_average(settings.ema_decay), use_buffers=True)

    @property
    def averaged(self) -> FaceNetwork:
        """The network with the moving average of all weights so far: what is validated and shipped."""
        return cast(FaceNetwork, self._average.module)

    def update(self, loss: Tensor, total_steps: int) -> float:
        """One optimiser step; returns the learning rate that it took."""
        rate = self.settings.learning_rate * learning_rate_factor(self.step, self.settings.warmup_steps, total_steps)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimiser)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.gradient_clip)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self._average.update_parameters(self.network)
        self.step += 1
        return rate

    def save(self, path: Path) -> None:
        """Writes a checkpoint, whole or not at all."""
        state = {
            "network": self.network.state_dict(),
            "ema": self._average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "step": self.step,
        }
        partial = path.with_suffix(".part")
        torch.save(state, partial)
        partial.replace(path)

    def restore(self, path: Path) -> None:
        """Goes on where ``save`` left off.

        Raises:
            FewmarkError: there is no checkpoint.
        """
        if not path.is_file():
            raise FewmarkError(f"{path}: nothing to resume here; leave --resume away to start")
        state = torch.load(path, weights_only=True, map_location="cpu")
        self.network.load_state_dict(state["network"])
        self._average.load_state_dict(state["ema"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state["scaler"])
        self.step = int(state["step"])


def learning_rate_factor(step: int, warmup_steps: int, total_steps: int) -> float:
    """Linear warm-up from 0, then half a cosine down to 0; 0..1."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    return 0.5 * (1 + math.cos(math.pi * (step - warmup_steps) / max(1, total_steps - warmup_steps)))


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
