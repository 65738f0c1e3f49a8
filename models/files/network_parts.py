"""A network, and the autoencoder that it may carry, as parts of a file's header and tensors."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from torch import Tensor

from models.autoencoder.autoencoder import Autoencoder, AutoencoderConfig
from models.files.safetensors_file import take_prefixed, with_prefix
from models.networks.base import LandmarkNetwork
from models.networks.registry import network_from_header, network_header

_AUTOENCODER_PREFIX = "autoencoder."


def networks_header(network: LandmarkNetwork, autoencoder: Autoencoder | None) -> dict[str, Any]:
    """What a file's header says of them."""
    header: dict[str, Any] = {"network": network_header(network)}
    return header if autoencoder is None else header | {"autoencoder": asdict(autoencoder.config)}


def networks_state(network: LandmarkNetwork, autoencoder: Autoencoder | None) -> dict[str, Tensor]:
    """Their tensors under the names that they have in a file."""
    carried = {} if autoencoder is None else with_prefix(_AUTOENCODER_PREFIX, autoencoder.state_dict())
    return {**network.state_dict(), **carried}


def networks_of(header: dict[str, Any], tensors: dict[str, Tensor]) -> tuple[LandmarkNetwork, Autoencoder | None]:
    """The network of a file and the autoencoder that it carries, in evaluation mode.

    Raises:
        FewmarkError: a network of an unknown kind.
        KeyError, TypeError, RuntimeError: header and tensors don't fit together.
    """
    network, autoencoder = network_from_header(header["network"]), None
    carried = take_prefixed(_AUTOENCODER_PREFIX, tensors)
    network.load_state_dict(tensors, assign=True)  # no copies: they take longer than reading the file
    if "autoencoder" in header:
        autoencoder = Autoencoder(AutoencoderConfig(**header["autoencoder"])).eval()
        autoencoder.load_state_dict(carried, assign=True)
    return network.eval(), autoencoder
