"""What our files share: tensors, and everything else as plain JSON in the file's own header. No pickled classes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from models.errors import FewmarkError
from models.files.header import HEADER_KEY


@dataclass(frozen=True, slots=True)
class FileFormat:
    """What a file of ours may hold."""

    name: str  # in the header
    version: int  # the newest
    content: str  # for people: "a model"

    def write(self, path: Path, header: dict[str, Any], state: dict[str, Tensor], *, half: bool) -> None:
        """Writes the file whole or not at all; arguments as for ``write_safetensors``."""
        write_safetensors(path, state, {"format": self.name, "version": self.version, **header}, half=half)

    def read(self, path: Path, what: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Header and tensors, as ``read_safetensors`` does.

        Raises:
            FewmarkError: the file is missing, damaged, of another format, or of a newer version.
        """
        header, tensors = read_safetensors(path, what)
        if header.get("format") != self.name:
            raise FewmarkError(f"{path}: holds {header.get('format', 'something else')}, not {self.content}")
        if header.get("version", 0) > self.version:
            raise FewmarkError(f"{path}: format version {header['version']} is newer than this program; update Fewmark")
        return header, tensors


@contextmanager
def header_fits(path: Path) -> Iterator[None]:
    """Raises FewmarkError where building what the file holds fails in the block."""
    try:
        yield
    except (KeyError, TypeError, RuntimeError) as error:
        raise FewmarkError(f"{path}: its header and its weights don't fit together ({error})") from error


def write_safetensors(path: Path, state: dict[str, Tensor], header: dict[str, Any], *, half: bool) -> None:
    """Writes tensors and a JSON header into one file, whole or not at all.

    Args:
        half: store floating-point weights as float16, as far as it can hold them.
    """
    tensors = {key: (halved(value) if half else value).detach().cpu().contiguous() for key, value in state.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    # Not save_file: it makes files that nobody but their owner may read, whatever the umask says.
    partial.write_bytes(save(tensors, metadata={HEADER_KEY: json.dumps(header)}))
    partial.replace(path)


def halved(value: Tensor) -> Tensor:
    """A floating-point tensor as float16; one with larger values than that can hold stays as it is."""
    if not value.is_floating_point() or not bool((value.abs() <= torch.finfo(torch.float16).max).all()):
        return value
    return value.half()


def read_safetensors(path: Path, what: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The JSON header and the tensors, as float32, of a file that ``write_safetensors`` wrote.

    Args:
        what: what the file should be, for the error message.

    Raises:
        FewmarkError: the file is missing, damaged, or none of ours.
    """
    if not path.is_file():
        raise FewmarkError(f"{path}: no such {what}; check the path")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if HEADER_KEY not in metadata:
                raise FewmarkError(f"{path}: a safetensors file, but not a Fewmark model (no header of ours)")
            header: dict[str, Any] = json.loads(metadata[HEADER_KEY])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  (no dict: keys() is its API)
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise FewmarkError(f"{path}: not a readable model file ({error}); obtain it again") from error
    return header, {key: _in_memory(value) for key, value in tensors.items()}


def _in_memory(value: Tensor) -> Tensor:
    """A tensor of an open file in memory of its own, so that the file may be replaced; floating-point ones as float32.

    Through numpy: torch shares even this among its threads, which wait for each other longer than one takes.
    """
    if value.dtype is torch.bfloat16:  # numpy knows none
        return value.float()
    array = value.numpy()
    return torch.from_numpy(array.astype(np.float32) if value.is_floating_point() else array.copy())


def with_prefix(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A part of a file that has a name of its own; ``take_prefixed`` is the inverse."""
    return {prefix + key: value for key, value in state.items()}


def take_prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Takes a part out of a file's tensors; empty where there is none."""
    return {key.removeprefix(prefix): tensors.pop(key) for key in [*tensors] if key.startswith(prefix)}
