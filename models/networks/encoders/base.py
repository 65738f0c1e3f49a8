"""What a network with a choice of encoders may know of one: maps at four strides, and how its images are normalised.

Legend: B batch, S crop side.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from models.networks.base import Normalisation

STRIDES = (4, 8, 16, 32)
SMALLEST_STEP = STRIDES[-1]  # px; the side of a crop is a multiple of it


class Encoder(nn.Module, ABC):
    """Images (B, 3, S, S), normalised as its ``EncoderSpec`` says, to maps (B, C, S / stride, S / stride)."""

    channels: tuple[int, int, int, int]  # C at each of ``STRIDES``

    @abstractmethod
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The maps at each of ``STRIDES``."""


@dataclass(frozen=True, slots=True)
class PretrainedWeights:
    """What an encoder has learned of ImageNet's 1.3 million images, as somebody published it."""

    file: str  # its name; where it is obtained stands in tracker/files/model_store.py
    source: str  # who trained and who published it, for cards
    licence: str
    our_key: Callable[[str], str | None]  # a published key to the encoder's own; None: it has no use for that


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """An encoder that a recipe may name."""

    build: Callable[[], Encoder]
    mean: Sequence[float]  # of RGB in 0..1, as it was trained
    deviation: Sequence[float] | None
    pretrained: PretrainedWeights | None = None

    def normalisation(self) -> Normalisation:
        """What its images go through."""
        return Normalisation(self.mean, self.deviation)
