"""Tensors as they come back from files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from models.files.safetensors_file import read_safetensors, write_safetensors

STATE = {
    "single": torch.tensor([[0.1, -2.5]]),
    "half": torch.tensor([0.1, 65504.0, 6e-8]).half(),
    "brain": torch.tensor([0.1, 1e30]).bfloat16(),
    "double": torch.tensor([0.1], dtype=torch.float64),
    "count": torch.tensor(7),
    "bytes": torch.arange(5, dtype=torch.uint8),
    "none": torch.zeros(0, 3),
}


@pytest.mark.parametrize("name", STATE)
def test_every_kind_of_tensor_comes_back(tmp_path: Path, name: str) -> None:
    write_safetensors(tmp_path / "file", {name: STATE[name]}, {}, half=False)
    _, tensors = read_safetensors(tmp_path / "file", "file")
    expected = STATE[name].float() if STATE[name].is_floating_point() else STATE[name]
    assert tensors[name].dtype == expected.dtype
    assert torch.equal(tensors[name], expected)


def test_what_was_read_does_not_change_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_safetensors(path, {"a": torch.ones(3), "b": torch.ones(3, dtype=torch.int64)}, {}, half=False)
    _, tensors = read_safetensors(path, "file")
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
    assert tensors["a"].tolist() == [1.0, 1.0, 1.0]
    assert tensors["b"].tolist() == [1, 1, 1]
    tensors["a"] += 1  # and may be changed itself
