"""Autoencoder files: what stage 1 makes and stage 2 starts from, and what shows the shipped models' reconstructions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from models.autoencoder.autoencoder import Autoencoder, AutoencoderConfig
from models.crop_rule import CropRule
from models.errors import FewmarkError
from models.files.safetensors_file import FileFormat, header_fits

AUTOENCODER_FORMAT = FileFormat("fewmark-autoencoder", 1, "an autoencoder")


@dataclass(slots=True)
class TrainedAutoencoder:
    """An autoencoder together with how its crops were cut."""

    name: str
    autoencoder: Autoencoder
    crop_rule: CropRule
    provenance: dict[str, Any] = field(default_factory=dict)  # plain JSON: data, recipe, metrics, versions


class DeferredAutoencoder:
    """An autoencoder whose weights are read when it is first wanted: most programs never show a reconstruction."""

    def __init__(self, load: Callable[[], Autoencoder]) -> None:
        """``load`` is a function of a module, so that a model that has one can go to another process."""
        self._load = load
        self._loaded: Autoencoder | FewmarkError | None = None

    def get(self) -> Autoencoder:
        """The autoencoder.

        Raises:
            FewmarkError: it can't be read, or could not be when it was first wanted.
        """
        if self._loaded is None:
            try:
                self._loaded = self._load()
            except FewmarkError as error:
                self._loaded = error
        if isinstance(self._loaded, FewmarkError):
            raise self._loaded
        return self._loaded


def save_autoencoder(path: Path, trained: TrainedAutoencoder, *, half: bool = False) -> None:
    """Writes the file whole or not at all.

    Args:
        half: store floating-point weights as float16, as far as it can hold them.
    """
    header = {
        "name": trained.name,
        "autoencoder": asdict(trained.autoencoder.config),
        "crop_rule": asdict(trained.crop_rule),
        "provenance": trained.provenance,
    }
    AUTOENCODER_FORMAT.write(path, header, trained.autoencoder.state_dict(), half=half)


def load_autoencoder(path: Path) -> TrainedAutoencoder:
    """Reads an autoencoder file; the networks come in float32, in evaluation mode, on the CPU.

    Raises:
        FewmarkError: the file is missing, damaged, no autoencoder of ours, or of a newer format.
    """
    header, tensors = AUTOENCODER_FORMAT.read(path, "autoencoder file")
    with header_fits(path):
        autoencoder = Autoencoder(AutoencoderConfig(**header["autoencoder"]))
        autoencoder.load_state_dict(tensors, assign=True)
        return TrainedAutoencoder(
            name=header["name"],
            autoencoder=autoencoder.eval(),
            crop_rule=CropRule(**header["crop_rule"]),
            provenance=header.get("provenance", {}),
        )
