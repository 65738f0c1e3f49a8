"""Autoencoder files: what stage 1 makes and stage 2 starts from. Safetensors with a JSON header, as model files are."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from models.autoencoder.autoencoder import Autoencoder, AutoencoderConfig
from models.crop_rule import CropRule
from models.errors import FewmarkError
from models.files.model_file import check_format, read_safetensors, write_safetensors

FORMAT = "fewmark-autoencoder"
FORMAT_VERSION = 1


@dataclass(slots=True)
class TrainedAutoencoder:
    """An autoencoder together with how its crops were cut."""

    name: str
    autoencoder: Autoencoder
    crop_rule: CropRule
    provenance: dict[str, Any] = field(default_factory=dict)  # plain JSON: data, recipe, metrics, versions


def save_autoencoder(path: Path, trained: TrainedAutoencoder, *, half: bool = False) -> None:
    """Writes the file whole or not at all.

    Args:
        half: store floating-point weights as float16, as far as it can hold them.
    """
    header = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "name": trained.name,
        "autoencoder": asdict(trained.autoencoder.config),
        "crop_rule": asdict(trained.crop_rule),
        "provenance": trained.provenance,
    }
    write_safetensors(path, trained.autoencoder.state_dict(), header, half=half)


def load_autoencoder(path: Path) -> TrainedAutoencoder:
    """Reads an autoencoder file; the networks come in float32, in evaluation mode, on the CPU.

    Raises:
        FewmarkError: the file is missing, damaged, no autoencoder of ours, or of a newer format.
    """
    header, tensors = read_safetensors(path, "autoencoder file")
    check_format(path, header, FORMAT, FORMAT_VERSION, "an autoencoder")
    try:
        autoencoder = Autoencoder(AutoencoderConfig(**header["autoencoder"]))
        autoencoder.load_state_dict(tensors)
        return TrainedAutoencoder(
            name=header["name"],
            autoencoder=autoencoder.eval(),
            crop_rule=CropRule(**header["crop_rule"]),
            provenance=header.get("provenance", {}),
        )
    except (KeyError, TypeError, RuntimeError) as error:
        raise FewmarkError(f"{path}: its header and its weights don't fit together ({error})") from error
