"""Files of networks that were taught dense descriptors: what a landmark run may start from. Safetensors with a JSON
header, as model files are."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from models.autoencoder.autoencoder import Autoencoder
from models.crop_rule import CropRule
from models.errors import FewmarkError
from models.files.model_file import check_format, networks_of, read_safetensors, write_with_autoencoder
from models.networks.interleaved.face_network import FaceNetwork

FORMAT = "fewmark-descriptors"
FORMAT_VERSION = 1


@dataclass(slots=True)
class TrainedDescriptors:
    """A network whose maps are the channels of a descriptor, and how its crops were cut."""

    name: str
    network: FaceNetwork  # as many "landmarks" as a descriptor has channels
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
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "name": trained.name,
        "crop_rule": asdict(trained.crop_rule),
        "temperature": trained.temperature,
        "provenance": trained.provenance,
    }
    write_with_autoencoder(path, trained.network, trained.autoencoder, header, half=half)


def load_descriptors(path: Path) -> TrainedDescriptors:
    """Reads a file of descriptors; the networks come in float32, in evaluation mode, on the CPU.

    Raises:
        FewmarkError: the file is missing, damaged, something else, or of a newer format.
    """
    header, tensors = read_safetensors(path, "file of descriptors")
    check_format(path, header, FORMAT, FORMAT_VERSION, "descriptors")
    try:
        network, autoencoder = networks_of(header, tensors)
        return TrainedDescriptors(
            name=header["name"],
            network=network,
            crop_rule=CropRule(**header["crop_rule"]),
            temperature=float(header["temperature"]),
            provenance=header.get("provenance", {}),
            autoencoder=autoencoder,
        )
    except (KeyError, TypeError, RuntimeError) as error:
        raise FewmarkError(f"{path}: its header and its weights don't fit together ({error})") from error
