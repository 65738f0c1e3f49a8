"""Headers as the standard library reads them, against what safetensors writes and reads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from models.errors import FewmarkError
from models.files.header import StoredTensor, read_header
from models.files.safetensors_file import write_safetensors
from models.registry import AUTOENCODER, MODELS

WITHOUT_TORCH = """
import sys
from models.files.header import read_header
from models.registry import MODELS
import models.landmark_schemes, tracker.config
for entry in MODELS.values():
    entry.check()
    read_header(entry.weights, "model file")
print({"torch", "safetensors"} & sys.modules.keys())
"""


def file_of(path: Path, fields: object, data: bytes = b"") -> Path:
    header = json.dumps(fields).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + data)
    return path


@pytest.mark.parametrize("entry", [*MODELS.values(), AUTOENCODER], ids=lambda entry: entry.name)
def test_a_header_says_what_safetensors_reads(entry: object) -> None:
    path = entry.weights  # type: ignore[attr-defined]
    header = read_header(path, "model file")
    with safe_open(path, framework="pt") as file:
        assert header.content == json.loads(file.metadata()["fewmark"])
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
        stored = {name: StoredTensor(one.get_dtype(), tuple(one.get_shape())) for name, one in slices.items()}
    assert header.tensors == stored


def test_names_headers_and_hashes_need_no_torch() -> None:
    run = subprocess.run([sys.executable, "-c", WITHOUT_TORCH], capture_output=True, text=True, check=False)
    assert run.stdout.strip() == "set()", run.stderr


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    content = {"name": "Größe", "numbers": [1, 2.5, None]}
    write_safetensors(path, {"a": torch.zeros(2, 3), "b": torch.tensor(1)}, content, half=True)
    header = read_header(path, "model file")
    assert header.content == content
    assert header.tensors == {"a": StoredTensor("F16", (2, 3)), "b": StoredTensor("I64", ())}
    write_safetensors(path, {}, content, half=True)
    assert read_header(path, "model file").tensors == {}


def test_a_file_that_ends_anywhere_but_at_its_end_is_damaged(tmp_path: Path) -> None:
    whole = tmp_path / "whole.safetensors"
    write_safetensors(whole, {"a": torch.zeros(5)}, {"name": "x"}, half=False)
    contents, path = whole.read_bytes(), tmp_path / "part.safetensors"
    for end in (*range(len(contents)), len(contents) + 1):
        path.write_bytes((contents + b"\0")[:end])
        with pytest.raises(FewmarkError, match=r"part.safetensors: not a readable model file \(.+\); obtain it again"):
            read_header(path, "model file")


TENSOR = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
OURS = {"fewmark": "{}"}


@pytest.mark.parametrize(
    "fields",
    [
        [],
        "text",
        None,
        {"a": 1},
        {"a": []},
        {"__metadata__": OURS, "a": {**TENSOR, "data_offsets": [0]}},
        {"__metadata__": OURS, "a": {**TENSOR, "data_offsets": [0, "x"]}},
        {"__metadata__": OURS, "a": {**TENSOR, "shape": 2}},
        {"__metadata__": {"fewmark": "[1"}, "a": TENSOR},
        {"__metadata__": {"fewmark": "[1]"}, "a": TENSOR},
        {"__metadata__": {"fewmark": "null"}, "a": TENSOR},
        {"__metadata__": {"fewmark": 5}, "a": TENSOR},
        {"__metadata__": {"fewmark": "[" * 100_000}, "a": TENSOR},
    ],
    ids=lambda fields: str(fields)[:60],
)
def test_a_damaged_header_is_told_in_one_line(tmp_path: Path, fields: object) -> None:
    path = file_of(tmp_path / "odd.safetensors", fields, bytes(8))
    with pytest.raises(FewmarkError, match=r"^\S+odd.safetensors: not a readable model file \([^\n]+\); obtain it"):
        read_header(path, "model file")


def test_a_length_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "long.safetensors"
    path.write_bytes(b"\xff" * 7 + b"\x7f" + b"{}")  # 9 exabytes of header
    with pytest.raises(FewmarkError, match="it does not begin with a header"):
        read_header(path, "model file")


def test_absent_and_foreign_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(FewmarkError, match=r"absent: no such model file; check the path"):
        read_header(tmp_path / "absent", "model file")
    save_file({"x": torch.zeros(1)}, tmp_path / "foreign")
    with pytest.raises(FewmarkError, match="not a Fewmark model"):
        read_header(tmp_path / "foreign", "model file")
