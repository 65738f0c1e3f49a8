"""Training configs: frozen, read from a recipe (TOML), written beside every checkpoint."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from models.autoencoder.autoencoder import AutoencoderConfig
from models.crop_rule import CropRule


@dataclass(frozen=True, slots=True)
class DataConfig:
    """What to learn from."""

    dataset: str = "300w"  # a name of training.datasets.DATASETS
    root: Path | None = None  # None: the command line says where
    validation: float = 0.1  # share held out, never trained on


@dataclass(frozen=True, slots=True)
class AugmentationConfig:
    """Ranges of ``random_crops.py`` and ``random_appearance.py`` in ``training/crops``; the identity is all zeros.

    3FabRec, section 4.2.2: "random horizontal flipping (p = 0.5), translation (+-4 %), resizing (+-5 %), rotation
    (+-30 degrees), and occlusion".
    """

    flip: float = 0.0  # probability
    translation: float = 0.0  # +- share of the face box's side, each axis of the crop
    scale: float = 0.0  # +- share, around the box's centre
    rotation_deg: float = 0.0  # +- degrees, around the box's centre
    warp: float = 0.0  # +- share of the crop's side, by which control points of a smooth warp move; not in the papers
    occlusion: float = 0.0  # probability of one covered rectangle
    occlusion_size: float = 0.4  # its longest side, share of the crop
    brightness: float = 0.0  # +- share of white
    contrast: float = 0.0  # +- share
    saturation: float = 0.0  # +- share
    colour_cast: float = 0.0  # +- share of each channel's gain
    grey: float = 0.0  # probability of a grey image
    blur: float = 0.0  # probability of a Gaussian blur or of a loss of resolution
    noise: float = 0.0  # standard deviation of pixel noise, largest, share of white


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """The network's shape, apart from the number of landmarks: the dataset's scheme knows that."""

    input_size: int = 256
    heatmap_size: int = 128
    z_dim: int = 99
    width: float = 1.0
    skip_connections: bool = False
    num_itls: int = 4  # 1 to 4 (3FabRec, table 7)


@dataclass(frozen=True, slots=True)
class LossConfig:
    """The heatmap loss, and what keeps the autoencoder an autoencoder meanwhile."""

    name: Literal["l2", "cross_entropy", "cross_entropy+coordinates"] = "cross_entropy"
    sigma: float = 1.75  # of the Gaussian target, heatmap pixels
    coordinate_weight: float = 0.5  # with cross_entropy+coordinates
    reconstruction_weight: float = 0.0  # of the stage 1 losses L_rec + 60 L_cs on the same crops; not in the papers


@dataclass(frozen=True, slots=True)
class PhaseConfig:
    """A part of a run with its own learning rates: 3FabRec trains the head first, then head and encoder (4.2.2).

    Each phase has a new optimiser, AdamW, with a linear warm-up and a cosine decay to zero. A part whose rate is 0 is
    frozen, its batch normalisation too.
    """

    epochs: float = 40.0
    min_steps: int = 1  # however few faces there are
    head: float = 1e-3  # learning rate of ITLs, last layer and skip connections
    encoder: float = 1e-3
    decoder: float = 1e-3
    schedule: Literal["constant", "cosine"] = "cosine"
    warmup_steps: int = 100


@dataclass(frozen=True, slots=True)
class UnlabelledConfig:
    """Faces without labels beside the labelled ones, see ``training/stages/teacher.py``; not in the papers."""

    labels: Path | None = (
        None  # by another model (`fewmark label-faces`); None: the network's own moving average labels
    )
    roots: tuple[Path, ...] = ()  # folders that `fewmark prepare-faces` made
    weight: float = 0.0  # of their loss; 0: they are not used
    batch_size: int = 16  # faces in every step
    from_step: int = 500  # before, the teacher knows too little
    min_confidence: float = 0.5  # landmarks of which the teacher is less sure are left out
    shape_faces: int = 0  # on so many the average learns how landmarks lie to each other, anew every 100 steps; 0: not


@dataclass(frozen=True, slots=True)
class OptimiserConfig:
    """What all phases share."""

    batch_size: int = 32
    weight_decay: float = 1e-4
    gradient_clip: float = 5.0  # largest global norm
    ema_decay: float = 0.998  # of the weights that are validated and shipped


@dataclass(frozen=True, slots=True)
class LandmarkRecipe:
    """Everything that determines a landmark training run."""

    name: str
    seed: int = 0
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    checkpoint_minutes: float = 3.0
    start_from: Path | None = None  # an autoencoder file, a model file or a shipped model's name; None: random weights
    data: DataConfig = field(default_factory=DataConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    crop: CropRule = field(default_factory=CropRule)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    unlabelled: UnlabelledConfig = field(default_factory=UnlabelledConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    phases: tuple[PhaseConfig, ...] = (PhaseConfig(),)


@dataclass(frozen=True, slots=True)
class FacesConfig:
    """The unlabelled faces of stage 1."""

    roots: tuple[Path, ...] = ()  # folders that `fewmark prepare-faces` made; empty: the command line names them
    held_out: float = 0.02  # share that is never trained on


@dataclass(frozen=True, slots=True)
class AutoencoderLossConfig:
    """Weights of the four losses of 3FabRec (section 3.2, eq. 4)."""

    reconstruction: float = 1.0
    structural: float = 60.0
    encoding: float = 1.0
    adversarial: float = 1.0
    adversarial_from: float = 0.0  # share of the run before which the image discriminator rests
    window: int = 11  # k of the structural loss, px
    border: float = 1.0  # how much the crop's border counts against the face in its middle; not in the paper


@dataclass(frozen=True, slots=True)
class AdversarialOptimiserConfig:
    """Adam for the autoencoder, and for each discriminator; the defaults are the paper's (section 4.2.1)."""

    epochs: float = 50.0
    batch_size: int = 100
    learning_rate: float = 2e-5
    discriminator_learning_rate: float = 2e-5
    beta1: float = 0.0
    beta2: float = 0.999
    warmup_steps: int = 0
    schedule: Literal["constant", "cosine"] = "constant"
    gradient_clip: float = 0.0  # largest global norm; 0: none
    ema_decay: float = 0.999  # of the weights that are measured and kept


@dataclass(frozen=True, slots=True)
class LinearStartConfig:
    """The start from principal components (``training/stages/principal_components.py``); not in the paper.

    Where ``network.linear_side`` keeps them in the autoencoder, ``steps`` may be 0: its convolutions add to them.
    """

    steps: int = 0  # over which their part falls from all to nothing; 0: none
    samples: int = 8000  # augmented faces to find them in
    code_weight: float = 60.0  # of the encoder's error in giving them, at first


@dataclass(frozen=True, slots=True)
class AutoencoderRecipe:
    """Everything that determines a stage 1 run."""

    name: str
    seed: int = 0
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    checkpoint_minutes: float = 3.0
    start_from: Path | None = None  # an autoencoder file; one of 128 px grows to 256 px
    faces: FacesConfig = field(default_factory=FacesConfig)
    network: AutoencoderConfig = field(default_factory=AutoencoderConfig)
    crop: CropRule = field(default_factory=CropRule)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    loss: AutoencoderLossConfig = field(default_factory=AutoencoderLossConfig)
    linear_start: LinearStartConfig = field(default_factory=LinearStartConfig)
    optimiser: AdversarialOptimiserConfig = field(default_factory=AdversarialOptimiserConfig)


@dataclass(frozen=True, slots=True)
class MatchingConfig:
    """How descriptors are learned, see ``training/stages/descriptor_matching.py``."""

    channels: int = 64  # of a descriptor
    places: int = 128  # that are looked for in every face
    temperature: float = 0.07  # of the softmax over cosines
    sigma: float = 1.0  # of the Gaussian target, heatmap pixels
    exchange_weight: float = 1.0  # of the loss of exchanged descriptors, beside that of the places' own


@dataclass(frozen=True, slots=True)
class DescriptorRecipe:
    """Everything that determines a run that teaches a network dense descriptors."""

    name: str
    seed: int = 0
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    checkpoint_minutes: float = 3.0
    start_from: Path | None = None  # a file of an autoencoder or of descriptors; None: random weights
    faces: FacesConfig = field(default_factory=FacesConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    crop: CropRule = field(default_factory=CropRule)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    matching: MatchingConfig = field(default_factory=MatchingConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    phase: PhaseConfig = field(default_factory=PhaseConfig)
