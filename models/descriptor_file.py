"""Files of networks that were taught dense descriptors: what a landmark run may start from. Safetensors with a JSON
header, as model files are."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from models.autoencoder import Autoencoder, AutoencoderConfig
from models.checkpoint import read_safetensors, write_safetensors
from models.crop_rule import CropRule
from models.errors import FewmarkError
from models.face_network import FaceNetwork, FaceNetworkConfig

FORMAT = "fewmark-descriptors"
FORMAT_VERSION = 1
_AUTOENCODER_PREFIX = "autoencoder."


@dataclass(slots=True)
class TrainedDescriptors:
    """A network whose maps are the channels of a descriptor, and how its crops were cut."""

    name: str
    network: FaceNetwork  # as many "landmarks" as a descriptor has channels
    crop_rule: CropRule
    provenance: dict[str, Any] = field(default_factory=dict)  # plain JSON: data, recipe, metrics, versions
    autoencoder: Autoencoder | None = None  # that it started from, as it was


def save_descriptors(path: Path, trained: TrainedDescriptors, *, half: bool = False) -> None:
    """Writes the file whole or not at all.

    Args:
        half: store floating-point weights as float16.
    """
    header = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "name": trained.name,
        "network": asdict(trained.network.config),
        "crop_rule": asdict(trained.crop_rule),
        "provenance": trained.provenance,
    }
    state = trained.network.state_dict()
    if trained.autoencoder is not None:
        header["autoencoder"] = asdict(trained.autoencoder.config)
        state |= {_AUTOENCODER_PREFIX + key: value for key, value in trained.autoencoder.state_dict().items()}
    write_safetensors(path, state, header, half=half)


def load_descriptors(path: Path) -> TrainedDescriptors:
    """Reads a file of descriptors; the networks come in float32, in evaluation mode, on the CPU.

    Raises:
        FewmarkError: the file is missing, damaged, something else, or of a newer format.
    """
    header, tensors = read_safetensors(path, "file of descriptors")
    if header.get("format") != FORMAT:
        raise FewmarkError(f"{path}: holds {header.get('format', 'something else')}, not descriptors")
    if header.get("version", 0) > FORMAT_VERSION:
        raise FewmarkError(f"{path}: format version {header['version']} is newer than this program; update Fewmark")
    try:
        of_autoencoder = {key: tensors.pop(key) for key in list(tensors) if key.startswith(_AUTOENCODER_PREFIX)}
        network = FaceNetwork(FaceNetworkConfig(**header["network"]))
        network.load_state_dict(tensors)
        autoencoder = None
        if "autoencoder" in header:
            autoencoder = Autoencoder(AutoencoderConfig(**header["autoencoder"])).eval()
            autoencoder.load_state_dict({k.removeprefix(_AUTOENCODER_PREFIX): v for k, v in of_autoencoder.items()})
        return TrainedDescriptors(
            name=header["name"],
            network=network.eval(),
            crop_rule=CropRule(**header["crop_rule"]),
            provenance=header.get("provenance", {}),
            autoencoder=autoencoder,
        )
    except (KeyError, TypeError, RuntimeError) as error:
        raise FewmarkError(f"{path}: its header and its weights don't fit together ({error})") from error
