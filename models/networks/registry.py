"""The families of networks, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from models.errors import FewmarkError
from models.networks.base import LandmarkNetwork, NetworkConfig
from models.networks.interleaved.face_network import FaceNetwork

NETWORKS: dict[str, type[LandmarkNetwork]] = {family.kind: family for family in (FaceNetwork,)}


def network_configs() -> dict[str, type[NetworkConfig]]:
    """The config of each family."""
    return {kind: family.config_type for kind, family in NETWORKS.items()}


def build_network(config: NetworkConfig) -> LandmarkNetwork:
    """The network of the family that has such configs, with random weights.

    Raises:
        FewmarkError: no family has, or there is no network of that shape.
    """
    for family in NETWORKS.values():
        if family.config_type is type(config):
            return family(config)  # type: ignore[call-arg]  # a family has a normalisation of its own
    raise FewmarkError(f"{type(config).__name__} belongs to no kind of network (known: {', '.join(NETWORKS)})")


def network_header(network: LandmarkNetwork) -> dict[str, Any]:
    """Family and config as plain JSON, for a file's header; ``network_from_header`` is the inverse."""
    return {"kind": network.kind, **asdict(network.config)}


def network_from_header(header: Mapping[str, Any]) -> LandmarkNetwork:
    """A network with random weights; files up to format 4 say no kind.

    Raises:
        FewmarkError: the family is unknown.
        TypeError: the config has other fields.
    """
    kind = header.get("kind", FaceNetwork.kind)
    if kind not in NETWORKS:
        raise FewmarkError(f"a network of kind {kind!r}, which is unknown here ({', '.join(NETWORKS)}); update Fewmark")
    fields = {name: value for name, value in header.items() if name != "kind"}
    return build_network(NETWORKS[kind].config_type(**fields))
