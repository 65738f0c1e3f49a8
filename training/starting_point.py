"""The network that a landmark run starts with: random weights, or what stage 1 or another run has learned."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from models.autoencoder import Autoencoder, AutoencoderConfig
from models.autoencoder_file import FORMAT as AUTOENCODER_FORMAT
from models.autoencoder_file import load_autoencoder
from models.checkpoint import load_model, read_safetensors
from models.crop_rule import CropRule
from models.errors import FewmarkError
from models.face_network import FaceNetwork, FaceNetworkConfig
from models.heatmaps import HeatmapKind
from models.landmark_schemes import LandmarkScheme
from models.registry import MODELS
from training.config import LandmarkRecipe


def build_network(recipe: LandmarkRecipe, scheme: LandmarkScheme) -> FaceNetwork:
    """The network of a recipe for a landmark scheme, with the weights that the recipe starts from.

    From an autoencoder come encoder and decoder; from a model also the landmark head, for another scheme without its
    last layer.

    Raises:
        FewmarkError: the recipe starts from something of another shape or crop rule.
    """
    kind: HeatmapKind = "gaussian" if recipe.loss.name == "l2" else "logits"
    shape = dataclasses.asdict(recipe.network)
    network = FaceNetwork(FaceNetworkConfig(num_landmarks=scheme.num_points, heatmap_kind=kind, **shape))
    path = starting_file(recipe)
    if path is None:
        return network
    header, _ = read_safetensors(path, "autoencoder or model file")
    source: Autoencoder | FaceNetwork
    if header.get("format") == AUTOENCODER_FORMAT:
        trained = load_autoencoder(path)
        source, found, rule = trained.autoencoder, trained.autoencoder.config, trained.crop_rule
    else:
        model = load_model(path)
        config = model.network.config
        source, rule = model.network, model.crop_rule
        found = AutoencoderConfig(config.input_size, config.z_dim, config.width)
        if dataclasses.replace(config, num_landmarks=scheme.num_points) == network.config:
            same = model.scheme == scheme
            learned = model.network.head.state_dict().items()
            # The layer of one channel a landmark is new for new landmarks.
            network.head.load_state_dict({k: v for k, v in learned if same or k.split(".")[0] != "lin"}, strict=same)
    if scheme.level_points is None:  # such crops are never turned, whatever the start's were
        rule = dataclasses.replace(rule, level=recipe.crop.level)
    _check_fit(recipe, found, rule)
    network.encoder.load_state_dict(source.encoder.state_dict())
    network.decoder.load_state_dict(source.decoder.state_dict())
    return network


def starting_file(recipe: LandmarkRecipe) -> Path | None:
    """The file that a recipe starts from; a shipped model's name stands for its weights."""
    entry = MODELS.get(str(recipe.start_from))
    return recipe.start_from if entry is None else entry.weights


def keeps_reconstructing(recipe: LandmarkRecipe) -> bool:
    """Whether the network that a recipe makes still shows faces through its own decoder.

    It does if it started from something that did, and its decoder stayed frozen or the reconstruction was trained
    along. 3FabRec, section 3.3.2: a fine-tuned encoder gives up some of the likeness.
    """
    if recipe.loss.reconstruction_weight > 0:
        return True
    path = starting_file(recipe)
    if path is None or any(phase.decoder > 0 for phase in recipe.phases):
        return False
    header, _ = read_safetensors(path, "autoencoder or model file")
    own = bool(header.get("reconstructs")) and "autoencoder" not in header
    return own or header.get("format") == AUTOENCODER_FORMAT


def kept_autoencoder(recipe: LandmarkRecipe) -> Autoencoder | None:
    """The autoencoder that a model carries along where its own decoder no longer reconstructs.

    That which the run started from, or that which the model that it started from carried; None if there was none.
    """
    path = starting_file(recipe)
    if path is None or keeps_reconstructing(recipe):
        return None
    header, _ = read_safetensors(path, "autoencoder or model file")
    if header.get("format") == AUTOENCODER_FORMAT:
        return load_autoencoder(path).autoencoder
    return load_model(path).autoencoder


def _check_fit(recipe: LandmarkRecipe, found: AutoencoderConfig, rule: CropRule) -> None:
    wanted = AutoencoderConfig(recipe.network.input_size, recipe.network.z_dim, recipe.network.width)
    if found != wanted:
        raise FewmarkError(f"{recipe.start_from}: holds {found}, but the recipe asks for {wanted}")
    if rule != recipe.crop:
        raise FewmarkError(f"{recipe.start_from}: was trained on crops by {rule}, but the recipe has {recipe.crop}")
