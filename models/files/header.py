"""Headers of model files, read with the standard library alone: a listing takes neither torch nor the weights."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from models.errors import FewmarkError

HEADER_KEY = "fewmark"  # of the metadata of a safetensors file; its value is JSON
_LENGTH_BYTES = 8
_LONGEST = 100_000_000  # bytes; safetensors reads no longer ones itself


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """What a header says of a tensor."""

    dtype: str  # as safetensors has it: "F32", "F16", "I64"
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)


@dataclass(frozen=True, slots=True)
class FileHeader:
    """All that a model file says but for the numbers themselves."""

    content: dict[str, Any]  # as ``write_safetensors`` was given it
    tensors: dict[str, StoredTensor]


def read_header(path: Path, what: str) -> FileHeader:
    """The header of a file that ``write_safetensors`` wrote; its tensors are not read.

    Args:
        what: what the file should be, for the error message.

    Raises:
        FewmarkError: the file is missing, damaged as far as its header and its length tell, or none of ours.
    """
    if not path.is_file():
        raise FewmarkError(f"{path}: no such {what}; check the path")
    try:
        fields, data_bytes = _fields(path)
        metadata = fields.pop("__metadata__", {})
        stored = {
            name: StoredTensor(str(field["dtype"]), tuple(map(int, field["shape"]))) for name, field in fields.items()
        }
        if data_bytes != max((int(field["data_offsets"][1]) for field in fields.values()), default=0):
            raise ValueError("the length of the file is not what its header says")
        if HEADER_KEY not in metadata:
            raise FewmarkError(f"{path}: a safetensors file, but not a Fewmark model (no header of ours)")
        return FileHeader(dict(json.loads(metadata[HEADER_KEY])), stored)
    # json gives up on too deep a nesting with RecursionError
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise FewmarkError(f"{path}: not a readable {what} ({error}); obtain it again") from error


def _fields(path: Path) -> tuple[dict[str, Any], int]:
    """The JSON object that a safetensors file begins with, and the number of bytes after it.

    Raises:
        OSError, ValueError: there is none.
    """
    with path.open("rb") as file:
        rest = path.stat().st_size - _LENGTH_BYTES
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        if length > min(rest, _LONGEST):
            raise ValueError("it does not begin with a header")
        fields = json.loads(file.read(length))
    if not isinstance(fields, dict):
        raise ValueError("its header is no JSON object")
    return fields, rest - length
