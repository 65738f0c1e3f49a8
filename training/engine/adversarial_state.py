"""What a stage 1 run carries from step to step, on disk and back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from models.autoencoder.autoencoder import Autoencoder, Guide
from models.autoencoder.discriminators import CodeDiscriminator, ImageDiscriminator
from models.autoencoder.linear_code import LinearCode
from training.config import AutoencoderRecipe
from training.engine.precision import Precision, autocast
from training.engine.processes import Processes
from training.engine.schedule import learning_rate_factor
from training.engine.training_state import load_checkpoint, moving_average, save_checkpoint
from training.losses.autoencoder_losses import (
    discriminator_loss,
    face_window,
    fooling_loss,
    prior_like,
    reconstruction_l1,
    structural_loss,
)


@contextlib.contextmanager
def _frozen(discriminator: nn.Module) -> Iterator[None]:
    """Within the block the discriminator judges what the autoencoder made and learns nothing itself."""
    discriminator.requires_grad_(False)
    try:
        yield
    finally:
        discriminator.requires_grad_(True)


class AdversarialState:
    """The autoencoder, its moving average, both discriminators and their optimisers."""

    def __init__(
        self, autoencoder: Autoencoder, recipe: AutoencoderRecipe, processes: Processes, precision: Precision
    ) -> None:
        self.recipe, self.precision = recipe, precision
        self.device = device = processes.device
        # Channels last is faster here even in float32: transposed convolutions of few channels dominate.
        self.autoencoder = autoencoder.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        config = autoencoder.config
        self.code_discriminator = CodeDiscriminator(config.z_dim).to(device)
        self.image_discriminator = ImageDiscriminator(config.input_size, config.width).to(device)
        self._autoencoder = processes.share_gradients(self.autoencoder)
        self._code_discriminator = processes.share_gradients(self.code_discriminator)
        self._image_discriminator = processes.share_gradients(self.image_discriminator)
        self._window = face_window(config.input_size, recipe.loss.border).to(device)
        self.components: LinearCode | None = None
        self.step = 0
        settings = recipe.optimiser
        betas = (settings.beta1, settings.beta2)
        self.optimiser = torch.optim.Adam(self.autoencoder.parameters(), settings.learning_rate, betas)
        discriminators = [*self.code_discriminator.parameters(), *self.image_discriminator.parameters()]
        self.discriminator_optimiser = torch.optim.Adam(discriminators, settings.discriminator_learning_rate, betas)
        self.scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")
        self._average = AveragedModel(
            self.autoencoder, multi_avg_fn=moving_average(settings.ema_decay), use_buffers=True
        )

    @property
    def averaged(self) -> Autoencoder:
        """The autoencoder with the moving average of all weights so far: what is measured and kept."""
        return cast(Autoencoder, self._average.module)

    def start_linear(self, code: LinearCode) -> None:
        """Lets the autoencoder begin as a linear code (``Autoencoder.start_linear``)."""
        self.autoencoder.start_linear(code)
        self.averaged.start_linear(code)

    def update(self, images: Tensor, targets: Tensor, progress: float, generator: torch.Generator) -> dict[str, Tensor]:
        """One step of autoencoder and discriminators (3FabRec, eq. 4).

        Args:
            images: (B, 3, S, S) in 0..1, what the encoder sees.
            targets: the same faces as they should be reconstructed.
            progress: share of the run that is done, 0..1.
            generator: on the CPU; draws from the prior.

        Returns:
            Every loss, unweighted, as a scalar tensor on the device.
        """
        weights = self.recipe.loss
        adversarial = weights.adversarial if progress >= weights.adversarial_from else 0.0
        mean = self.autoencoder.channel_mean
        guide = self._guide(targets, generator)
        with autocast(self.precision, self.device):
            reconstruction, z = self._autoencoder(images, guide)
        losses = {
            "reconstruction": reconstruction_l1(reconstruction, targets, self._window),
            "structural": structural_loss(reconstruction, targets, weights.window, self._window),
        }
        with _frozen(self.code_discriminator):
            losses["encoding"] = fooling_loss(self.code_discriminator(z.float()))
        total = (
            weights.reconstruction * losses["reconstruction"]
            + weights.structural * losses["structural"]
            + weights.encoding * losses["encoding"]
        )
        if guide is not None and self.components is not None:
            errors = (z.float() - guide.codes).square() @ self.components.importance
            losses["code"] = errors.mean()
            total = total + self.recipe.linear_start.code_weight * guide.share * losses["code"]
        if adversarial:
            with _frozen(self.image_discriminator), autocast(self.precision, self.device):
                losses["adversarial"] = fooling_loss(self.image_discriminator(reconstruction - mean))
            total = total + adversarial * losses["adversarial"]
        self._step(self.optimiser, total, self.autoencoder.parameters())

        z, reconstruction = z.detach().float(), reconstruction.detach()
        real, fake = self._code_discriminator(torch.cat((prior_like(z, generator), z))).chunk(2)
        judging = losses["code_discriminator"] = discriminator_loss(real, fake)
        if adversarial:
            with autocast(self.precision, self.device):
                real, fake = self._image_discriminator(torch.cat((targets, reconstruction)) - mean).chunk(2)
            losses["image_discriminator"] = discriminator_loss(real, fake)
            judging = judging + losses["image_discriminator"]
        discriminators = (*self.code_discriminator.parameters(), *self.image_discriminator.parameters())
        self._step(self.discriminator_optimiser, judging, discriminators)

        self._average.update_parameters(self.autoencoder)
        self.step += 1
        return {name: value.detach() for name, value in losses.items()}

    def _guide(self, targets: Tensor, generator: torch.Generator) -> Guide | None:
        """The linear codes of a batch, while the linear start lasts."""
        steps = self.recipe.linear_start.steps
        if self.components is None or self.step >= steps:
            return None
        share = 1 - self.step / steps
        given = torch.rand(len(targets), generator=generator) < share
        return Guide(self.components.encode(targets), given.to(targets.device), share)

    def set_learning_rates(self, total_steps: int) -> float:
        """Sets the rates of this step; returns the autoencoder's."""
        settings = self.recipe.optimiser
        factor = learning_rate_factor(self.step, settings.warmup_steps, total_steps, settings.schedule)
        rates = (settings.learning_rate, settings.discriminator_learning_rate)
        for optimiser, rate in zip((self.optimiser, self.discriminator_optimiser), rates, strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate * factor
        return settings.learning_rate * factor

    def _step(self, optimiser: torch.optim.Optimizer, loss: Tensor, parameters: Iterable[nn.Parameter]) -> None:
        optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(optimiser)
        if self.recipe.optimiser.gradient_clip:
            nn.utils.clip_grad_norm_(parameters, self.recipe.optimiser.gradient_clip)
        self.scaler.step(optimiser)
        self.scaler.update()

    def save(self, path: Path) -> None:
        """Writes a checkpoint, whole or not at all."""
        modules = {
            "autoencoder": self.autoencoder,
            "average": self._average,
            "code_discriminator": self.code_discriminator,
            "image_discriminator": self.image_discriminator,
            "optimiser": self.optimiser,
            "discriminator_optimiser": self.discriminator_optimiser,
            "scaler": self.scaler,
        }
        save_checkpoint(path, {**{name: m.state_dict() for name, m in modules.items()}, "step": self.step})

    def restore(self, path: Path) -> None:
        """Goes on where ``save`` left off.

        Raises:
            FewmarkError: there is no checkpoint, or it is of another network.
        """
        state = load_checkpoint(path)
        self.autoencoder.load_state_dict(state["autoencoder"])
        self._average.load_state_dict(state["average"])
        self.code_discriminator.load_state_dict(state["code_discriminator"])
        self.image_discriminator.load_state_dict(state["image_discriminator"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.discriminator_optimiser.load_state_dict(state["discriminator_optimiser"])
        self.scaler.load_state_dict(state["scaler"])
        self.step = int(state["step"])
