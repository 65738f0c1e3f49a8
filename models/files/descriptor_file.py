"""Files of networks that were taught dense descriptors: what a landmark run may start from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from models.autoencoder.autoencoder import Autoencoder
from models.crop_rule import CropRule
from models.files.network_parts import networks_header, networks_of, networks_state
from models.files.safetensors_file import FileFormat, header_fits
from models.networks.base import LandmarkNetwork

DESCRIPTOR_FORMAT = FileFormat("fewmark-descriptors", 2, "descriptors")  # 2: the network has a kind


@dataclass(slots=True)
class TrainedDescriptors:
    """A network whose maps are the channels of a descriptor, and how its crops were cut."""

    name: str
    network: LandmarkNetwork  # as many "landmarks" as a descriptor has channels
    crop_rule: CropRule
    temperature: float  # of the softmax over cosines with which descriptors are compared
    provenance: dict[str, Any] = field(default_factory=dict)  # plain JSON: data, recipe, metrics, versions
    autoencoder: Autoencoder | None = None  # that it started from, as it was


def save_descriptors(path: Path, trained: TrainedDescriptors, *, half: bool = False) -> None:
    """Writes the file whole or not at all.

    Args:
        half: store floating-point weights as float16, as far as it can hold them.
    """
    header = {
        "name": trained.name,
        "crop_rule": asdict(trained.crop_rule),
        "temperature": trained.temperature,
        "provenance": trained.provenance,
        **networks_header(trained.network, trained.autoencoder),
    }
    DESCRIPTOR_FORMAT.write(path, header, networks_state(trained.network, trained.autoencoder), half=half)


def load_descriptors(path: Path) -> TrainedDescriptors:
    """Reads a file of descriptors; the networks come in float32, in evaluation mode, on the CPU.

    Raises:
        FewmarkError: the file is missing, damaged, something else, or of a newer format.
    """
    header, tensors = DESCRIPTOR_FORMAT.read(path, "file of descriptors")
    with header_fits(path):
        network, autoencoder = networks_of(header, tensors)
        return TrainedDescriptors(
            name=header["name"],
            network=network,
            crop_rule=CropRule(**header["crop_rule"]),
            temperature=float(header["temperature"]),
            provenance=header.get("provenance", {}),
            autoencoder=autoencoder,
        )
