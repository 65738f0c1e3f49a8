"""The models that ship, by name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import FewmarkError
from models.files.hashing import HASHES

if TYPE_CHECKING:
    from models.autoencoder.autoencoder import Autoencoder
    from models.files.model_file import FaceModel

WEIGHTS_FOLDER = Path(__file__).parent / "weights"
CARDS_FOLDER = Path(__file__).parent / "cards"


@dataclass(frozen=True, slots=True)
class ShippedFile:
    """A weights file that ships. Shape, scheme and crop rule stand in the file itself."""

    name: str
    summary: str
    sha256: str

    @property
    def weights(self) -> Path:
        return WEIGHTS_FOLDER / f"{self.name}.safetensors"

    @property
    def card(self) -> Path:
        return CARDS_FOLDER / f"{self.name}.md"

    def check(self) -> None:
        """Raises FewmarkError where the file is missing, damaged or can't be read."""
        if not self.weights.is_file():
            raise FewmarkError(f"{self.weights}: the weights of {self.name} are missing; install Fewmark again")
        try:
            found = HASHES.sha256(self.weights)
        except OSError as error:
            raise FewmarkError(f"{self.weights}: cannot be read ({error.strerror}); check its permissions") from error
        if found != self.sha256:
            raise FewmarkError(f"{self.weights}: damaged or changed (its sha256 differs); install Fewmark again")


MODELS: dict[str, ShippedFile] = {
    entry.name: entry
    for entry in (
        ShippedFile(
            name="fine256",
            summary="68 points from 256 px crops: encoder, decoder and ITLs with skip connections at half width",
            sha256="e939007f1100b97bfcdce52221f4e45b12e6c428029021db52b1a5bae8ffcecb",
        ),
        ShippedFile(
            name="fast128",
            summary="68 points from 128 px crops: what fine256 grew from; faster, and less accurate",
            sha256="b66af64262d41be15ab204e627385ebee0e6c7acd8a9fe59df22f6e4477e0d66",
        ),
        ShippedFile(
            name="exact256",
            summary="68 points from 256 px crops: fine256 widened; the most accurate, and slower",
            sha256="f7949ba794cd6210cf129d62e3a546cc72fa37ebe8b0fe8d7ed6f101b22b7f42",
        ),
    )
}

# Every shipped model shows its reconstructions: one file instead of a copy in each of theirs.
AUTOENCODER = ShippedFile(
    name="portrait128",
    summary="reconstructions from 128 px crops: 512 principal components, refined by a network of half width",
    sha256="78c08e5df1345cb5385f38257de2edbd1579aa8b9adcd4f967fd130831ed4b3d",
)

DEFAULT_MODEL = "fine256"
TRAINED_MODEL_FILE = "model.safetensors"  # what a training run calls its result


def open_model(name_or_path: str | Path) -> FaceModel:
    """A shipped model by name, or a model file by path.

    The autoencoder of shipped models is read when the first reconstruction is wanted.

    Raises:
        FewmarkError: no such name or file, or the shipped file is damaged.
    """
    # torch comes with these: whoever wants to know names and files does without
    from models.files.autoencoder_file import DeferredAutoencoder
    from models.files.model_file import load_model

    entry = MODELS.get(str(name_or_path))
    if entry is None:
        return load_model(model_file(name_or_path))
    entry.check()
    return replace(load_model(entry.weights), carries=DeferredAutoencoder(shipped_autoencoder))


def shipped_autoencoder() -> Autoencoder:
    """What shows the reconstructions of all shipped models.

    Raises:
        FewmarkError: its file is missing or damaged.
    """
    from models.files.autoencoder_file import load_autoencoder

    AUTOENCODER.check()
    return load_autoencoder(AUTOENCODER.weights).autoencoder


def model_file(path: str | Path) -> Path:
    """The path of a model file that is no shipped model's name.

    Raises:
        FewmarkError: there is no such file.
    """
    if not Path(path).is_file():
        raise FewmarkError(f"{path}: neither a shipped model ({', '.join(MODELS)}) nor a file")
    return Path(path)


def model_title(name_or_path: str | Path) -> str:
    """What a person is shown: a shipped model's name, or the file's.

    Files that training writes are all called alike: for such a one it is the folder's, which is named after the run.
    """
    if str(name_or_path) in MODELS:
        return str(name_or_path)
    path = Path(name_or_path)
    return path.parent.name if path.name == TRAINED_MODEL_FILE and path.parent.name else path.name
