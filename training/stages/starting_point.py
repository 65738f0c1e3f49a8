"""The network that a landmark run starts with: random weights, or what stage 1 or another run has learned."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from models.autoencoder.autoencoder import Autoencoder, AutoencoderConfig
from models.crop_rule import CropRule
from models.errors import FewmarkError
from models.files.autoencoder_file import AUTOENCODER_FORMAT, TrainedAutoencoder, load_autoencoder
from models.files.descriptor_file import DESCRIPTOR_FORMAT, TrainedDescriptors, load_descriptors
from models.files.header import read_header
from models.files.model_file import FaceModel, load_model
from models.files.pretrained_encoder import load_pretrained
from models.landmark_schemes import LandmarkScheme
from models.networks.base import LandmarkNetwork
from models.networks.encoders import ENCODERS
from models.networks.interleaved.face_network import FaceNetwork, FaceNetworkConfig, interleaved
from models.networks.pyramid.pyramid_network import PyramidNetwork
from models.networks.registry import build_network
from models.registry import MODELS, open_model
from models.surgery.growing import grow_autoencoder, grow_network, widen_network
from tracker.files.model_store import find_or_fetch
from training.config import LandmarkRecipe, Recipe
from training.crops.labelled_crops import LabelledCrops
from training.stages.descriptor_matching import landmark_filters, last_convolution

Start = TrainedAutoencoder | TrainedDescriptors | FaceModel
IMAGENET = Path("imagenet")  # in place of a file: what the encoder's publisher trained on ImageNet


class StartingPoint:
    """What a landmark run starts from, read once and grown and widened to what the recipe asks for."""

    def __init__(self, recipe: LandmarkRecipe) -> None:
        """Raises FewmarkError where there is no such file, or it holds nothing that a landmark run can start from."""
        self.recipe = recipe
        given = recipe.start_from
        self._start = None if given in (None, IMAGENET) else load_start(given)
        self._source = None if self._start is None else _fitted(self._start, recipe)

    def build_network(self, scheme: LandmarkScheme) -> LandmarkNetwork:
        """The network of the recipe for a landmark scheme, with the weights that it starts from.

        From ImageNet comes the encoder, from an autoencoder encoder and decoder; from a model everything, for another
        scheme but the last layer; from descriptors all but the last layer. What is of 128 px grows where the recipe
        asks for 256; a narrow model and narrow descriptors are widened. Of a model or descriptors whose landmark head
        has another shape come encoder and decoder.

        Raises:
            FewmarkError: the start has another shape or crop rule, or can't serve a network of that kind.
        """
        recipe, start, source, loss = self.recipe, self._start, self._source, self.recipe.loss
        config = replace(recipe.network, num_landmarks=scheme.num_points)
        network = build_network(replace(config, heatmap_kind=loss.heatmap_kind, point_kind=loss.point_kind))
        if recipe.start_from == IMAGENET:
            start_from_imagenet(network)
        if start is None or source is None:
            return network
        rule = start.crop_rule
        if scheme.level_points is None:  # such crops are never turned, whatever the start's were
            rule = replace(rule, level=recipe.crop.level)
        if not isinstance(source, Autoencoder) and _same_shape(source, network):
            check_fit(recipe, source.config, source.config, rule)
            same = isinstance(start, FaceModel) and start.scheme == scheme
            learned, last = source.state_dict(), f"{network.heatmap_layer}."
            # The layer of one channel a landmark is new for new landmarks.
            kept = {key: value for key, value in learned.items() if same or not key.startswith(last)}
            network.load_state_dict(kept, strict=same)
        elif isinstance(source, Autoencoder | FaceNetwork):
            start_from_autoencoder(network, source, recipe, rule)
        else:
            check_fit(recipe, source.config, network.config, rule)
        return network

    @torch.no_grad()
    def start_last_layer(self, network: LandmarkNetwork, crops: LabelledCrops) -> None:
        """After descriptors, lets the last layer begin with what the labelled faces say of them."""
        start, source = self._start, self._source
        if not isinstance(start, TrainedDescriptors) or not isinstance(source, LandmarkNetwork):
            return
        if _same_shape(source, network):
            last_convolution(network).weight.copy_(landmark_filters(source, crops, start.temperature))

    @property
    def keeps_reconstructing(self) -> bool:
        """Whether the network that the recipe makes still shows faces through its own decoder.

        It does if it started from something that did, and its decoder stayed frozen or the reconstruction was trained
        along. 3FabRec, section 3.3.2: a fine-tuned encoder gives up some of the likeness.
        """
        recipe, start = self.recipe, self._start
        if recipe.reconstruction_weight > 0:
            return True
        if any(phase.decoder > 0 for phase in recipe.phases):
            return False
        if isinstance(start, FaceModel):
            return start.reconstructs and start.autoencoder is None
        return isinstance(start, TrainedAutoencoder)

    @property
    def kept_autoencoder(self) -> Autoencoder | None:
        """The autoencoder that a model carries along where its own decoder no longer reconstructs.

        That which the run started from, or that which the model that it started from carried; None if there was none.
        """
        if self.keeps_reconstructing or self._start is None:
            return None
        return self._start.autoencoder


def load_start(path: Path) -> Start:
    """What a run starts from; a shipped model's name stands for its weights.

    Raises:
        FewmarkError: there is no such file, or it is none of an autoencoder, of descriptors or of a model.
    """
    if str(path) in MODELS:
        return open_model(str(path))
    held = read_header(path, "file of an autoencoder, of descriptors or of a model").content.get("format")
    if held == AUTOENCODER_FORMAT.name:
        return load_autoencoder(path)
    return load_descriptors(path) if held == DESCRIPTOR_FORMAT.name else load_model(path)


def _fitted(start: Start, recipe: LandmarkRecipe) -> Autoencoder | LandmarkNetwork:
    """The network that a recipe starts from, grown and widened to what it asks for, as far as that is possible."""
    wanted = recipe.network
    if isinstance(start, TrainedAutoencoder):
        small = start.autoencoder
        return grow_autoencoder(small) if (small.config.input_size, wanted.input_size) == (128, 256) else small
    network = start.network
    if not isinstance(network, FaceNetwork) or not isinstance(wanted, FaceNetworkConfig):
        return network
    if (network.config.input_size, wanted.input_size) == (128, 256):
        network = grow_network(network)
    return widen_network(network, wanted.width) if network.config.width < wanted.width else network


def _same_shape(source: LandmarkNetwork, network: LandmarkNetwork) -> bool:
    """Whether two networks differ in the number of landmarks alone, and in what of their maps is the point."""
    wanted = network.config
    return wanted == replace(source.config, num_landmarks=wanted.num_landmarks, point_kind=wanted.point_kind)


def start_from_autoencoder(
    network: LandmarkNetwork,
    source: Autoencoder | FaceNetwork,
    recipe: Recipe,
    rule: CropRule,
) -> None:
    """Lets encoder and decoder begin with those of ``source``.

    Args:
        rule: how the crops were cut that the source was trained on.

    Raises:
        FewmarkError: the network is of another kind, or they have other shapes or crop rules.
    """
    network = interleaved(network, f"{recipe.start_from}: an autoencoder as a start")
    config = source.config
    if not isinstance(config, AutoencoderConfig):
        config = AutoencoderConfig(config.input_size, config.z_dim, config.width)
    wanted = network.config
    check_fit(recipe, config, AutoencoderConfig(wanted.input_size, wanted.z_dim, wanted.width), rule)
    network.encoder.load_state_dict(source.encoder.state_dict())
    network.decoder.load_state_dict(source.decoder.state_dict())


def start_from_imagenet(network: LandmarkNetwork) -> None:
    """Lets the encoder begin with what it has learned of ImageNet; its weights are obtained once.

    Raises:
        FewmarkError: the network is of another kind, nobody publishes weights of its encoder, or they can't be had.
    """
    if not isinstance(network, PyramidNetwork):
        raise FewmarkError(
            f"start_from: {IMAGENET} is for networks of kind {PyramidNetwork.kind!r}, and this one is of kind "
            f"{network.kind!r}; name a file, or choose the other kind"
        )
    weights = ENCODERS[network.config.encoder].pretrained
    if weights is None:
        able = ", ".join(name for name, spec in ENCODERS.items() if spec.pretrained)
        raise FewmarkError(f"start_from: {IMAGENET}: no weights of {network.config.encoder} are published; take {able}")
    load_pretrained(network.encoder, weights, find_or_fetch(weights.file, report=partial(print, file=sys.stderr)))


def check_fit(recipe: Recipe, found: object, wanted: object, rule: CropRule) -> None:
    """
    Args:
        found: the shape of what a recipe starts from.
        wanted: the shape that it asks for.
        rule: how the crops were cut that the start was trained on.

    Raises:
        FewmarkError: the start does not fit.
    """
    if found != wanted:
        raise FewmarkError(f"{recipe.start_from}: holds {found}, but the recipe asks for {wanted}")
    if rule != recipe.crop:
        raise FewmarkError(f"{recipe.start_from}: was trained on crops by {rule}, but the recipe has {recipe.crop}")
