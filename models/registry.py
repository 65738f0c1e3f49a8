"""The models that ship, by name."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from models.checkpoint import FaceModel, load_model
from models.errors import FewmarkError

WEIGHTS_FOLDER = Path(__file__).parent / "weights"
CARDS_FOLDER = Path(__file__).parent / "cards"


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A shipped model. Its shape, scheme and crop rule stand in the weights file itself."""

    name: str
    summary: str
    sha256: str

    @property
    def weights(self) -> Path:
        return WEIGHTS_FOLDER / f"{self.name}.safetensors"

    @property
    def card(self) -> Path:
        return CARDS_FOLDER / f"{self.name}.md"


MODELS: dict[str, ModelEntry] = {
    entry.name: entry
    for entry in (
        ModelEntry(
            name="fine256",
            summary="68 points from 256 px crops: encoder, decoder and ITLs with skip connections at half width",
            sha256="89a2b9c331bd8ff01c3f3c0b2817a0c39c301ac46c8bbb90a0edb8965f34f5ce",
        ),
        ModelEntry(
            name="fast128",
            summary="68 points from 128 px crops: what fine256 grew from; faster, and less accurate",
            sha256="d0e0913552ec3c1fdd51cc9634e6547786bd38ce24228f65360b4a1b6943377a",
        ),
        ModelEntry(
            name="exact256",
            summary="68 points from 256 px crops: fine256 widened; the most accurate, and slower",
            sha256="9af30b00c5c2b59fd2dd04ff047af73325d31a108423ad8c70f8dbb035dad950",
        ),
    )
}

DEFAULT_MODEL = "fine256"
TRAINED_MODEL_FILE = "model.safetensors"  # what a training run calls its result


def open_model(name_or_path: str | Path) -> FaceModel:
    """A shipped model by name, or a model file by path.

    Raises:
        FewmarkError: no such name or file, or the shipped file is damaged.
    """
    entry = MODELS.get(str(name_or_path))
    if entry is None:
        return load_model(model_file(name_or_path))
    if not entry.weights.is_file():
        raise FewmarkError(f"{entry.weights}: the weights of model {entry.name} are missing; install Fewmark again")
    if file_sha256(entry.weights) != entry.sha256:
        raise FewmarkError(f"{entry.weights}: damaged or changed (its sha256 differs); install Fewmark again")
    return load_model(entry.weights)


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


def file_sha256(path: Path) -> str:
    """Hex digest of a file's contents."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
