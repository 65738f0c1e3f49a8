"""Training configs: frozen, read from a recipe (TOML), written beside every checkpoint."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from models.autoencoder.autoencoder import AutoencoderConfig
from models.crop_rule import CropRule
from models.networks.base import DETERMINED, NetworkConfig
from models.networks.interleaved.face_network import FaceNetwork, FaceNetworkConfig
from models.networks.registry import network_configs
from tracker.files.dataclass_toml import OneOf
from training.losses.heatmap_losses import LOSSES, CrossEntropy, HeatmapLoss


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


# [network]: the shape of a network, apart from what data and loss determine; `kind` names its family.
NetworkTable = Annotated[NetworkConfig, OneOf("kind", network_configs, FaceNetwork.kind, withheld=DETERMINED)]
# [loss]: a heatmap loss with its own constants; `name` says which.
LossTable = Annotated[HeatmapLoss, OneOf("name", lambda: LOSSES, CrossEntropy.name)]


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
class Recipe:
    """What all recipes say."""

    name: str
    seed: int = 0
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    checkpoint_minutes: float = 3.0
    start_from: Path | None = None  # None: random weights
    crop: CropRule = field(default_factory=CropRule)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)


@dataclass(frozen=True, slots=True)
class LandmarkRecipe(Recipe):
    """Everything that determines a landmark training run; it may start from an autoencoder, descriptors or a model."""

    data: DataConfig = field(default_factory=DataConfig)
    network: NetworkTable = field(default_factory=FaceNetworkConfig)
    loss: LossTable = field(default_factory=CrossEntropy)
    reconstruction_weight: float = 0.0  # of the stage 1 losses L_rec + 60 L_cs on the same crops; not in the papers
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
class AutoencoderRecipe(Recipe):
    """Everything that determines a stage 1 run; it may start from an autoencoder, and one of 128 px grows to 256 px."""

    faces: FacesConfig = field(default_factory=FacesConfig)
    network: AutoencoderConfig = field(default_factory=AutoencoderConfig)
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
class DescriptorRecipe(Recipe):
    """Everything that determines a run that teaches a network dense descriptors; it may start from an autoencoder or
    from descriptors."""

    faces: FacesConfig = field(default_factory=FacesConfig)
    network: NetworkTable = field(default_factory=FaceNetworkConfig)
    matching: MatchingConfig = field(default_factory=MatchingConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    phase: PhaseConfig = field(default_factory=PhaseConfig)


R = TypeVar("R", bound=Recipe)


def without_paths(recipe: R) -> R:
    """The recipe as it may travel with what it makes: no folder of the machine that it was trained on."""
    stripped: R = _stripped(recipe)
    return stripped


def _stripped(value: Any) -> Any:
    if isinstance(value, Path):
        return Path(value.name)
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    told = {f.name: _stripped(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return dataclasses.replace(value, **told | {name: empty for name, empty in _FOLDERS.items() if name in told})


_FOLDERS: dict[str, Any] = {"root": None, "roots": ()}
