"""Training configs: frozen, read from a recipe (TOML), written beside every checkpoint."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from models.crop_rule import CropRule
from training.augmentation import AugmentationConfig


@dataclass(frozen=True, slots=True)
class DataConfig:
    """What to learn from."""

    dataset: Literal["300w"] = "300w"
    root: Path | None = None  # None: the command line says where
    validation: float = 0.1  # share held out, never trained on


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """The network's shape, apart from the number of landmarks: the dataset's scheme knows that."""

    input_size: int = 256
    heatmap_size: int = 128
    z_dim: int = 99
    skip_connections: bool = False


@dataclass(frozen=True, slots=True)
class LossConfig:
    """The heatmap loss."""

    name: Literal["l2", "cross_entropy", "cross_entropy+coordinates"] = "cross_entropy"
    sigma: float = 1.75  # of the Gaussian target, heatmap pixels
    coordinate_weight: float = 0.5  # with cross_entropy+coordinates


@dataclass(frozen=True, slots=True)
class OptimiserConfig:
    """AdamW with a linear warm-up and a cosine decay to zero."""

    epochs: float = 40.0
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    warmup_steps: int = 100
    gradient_clip: float = 5.0  # largest global norm
    ema_decay: float = 0.998  # of the weights that are validated and shipped


@dataclass(frozen=True, slots=True)
class LandmarkRecipe:
    """Everything that determines a landmark training run."""

    name: str
    seed: int = 0
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    workers: int = 0  # data-loading processes; 0 loads in the training process
    checkpoint_minutes: float = 3.0
    data: DataConfig = field(default_factory=DataConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    crop: CropRule = field(default_factory=CropRule)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
