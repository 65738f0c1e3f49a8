"""Training in two processes that Lightning Fabric starts, against the same training in one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from models.errors import FewmarkError
from models.files.model_file import load_model
from models.networks.interleaved.face_network import FaceNetworkConfig
from tracker.files.dataclass_toml import dump_toml
from training.config import LandmarkRecipe, OptimiserConfig, PhaseConfig
from training.engine.processes import Processes, start_processes

RECIPE = LandmarkRecipe(
    name="together",
    network=FaceNetworkConfig(input_size=128, heatmap_size=64, z_dim=16, width=0.25, skip_connections=True),
    optimiser=OptimiserConfig(batch_size=16, ema_decay=0.9),
    phases=(
        PhaseConfig(epochs=12, encoder=0, decoder=0, warmup_steps=2),
        PhaseConfig(epochs=12, head=1e-3, encoder=1e-3, decoder=1e-3, warmup_steps=2),
    ),
)


@pytest.fixture(scope="module")
def faces(labelled_faces: Callable[[int], Path]) -> Path:
    return labelled_faces(18)


def _train(recipe: Path, faces: Path, out: Path, devices: int) -> list[float]:
    command = [sys.executable, "-m", "tracker", "train", "landmarks", str(recipe), "--data", str(faces)]
    command += ["--out", str(out), "--device", "cpu", "--devices", str(devices)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def test_two_processes_learn_like_one(faces: Path, tmp_path: Path) -> None:
    pytest.importorskip("lightning_fabric", reason="the extra cluster is not installed")
    recipe = tmp_path / "together.toml"
    dump_toml(RECIPE, recipe)
    alone = _train(recipe, faces, tmp_path / "one", 1)
    together = _train(recipe, faces, tmp_path / "two", 2)
    # Batch statistics of 8 faces instead of 16: close, not equal.
    assert together == pytest.approx(alone, rel=0.05)
    assert len(alone) == 2
    assert alone[-1] < alone[0]
    assert load_model(tmp_path / "two/model.safetensors").provenance["training_faces"] == 16


def test_one_process_needs_no_cluster_extra() -> None:
    processes = start_processes("cpu")
    assert type(processes) is Processes
    assert processes.is_main
    assert processes.any(True)
    assert processes.mean(2.5) == 2.5


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_more_gpus_than_there_are_is_an_error() -> None:
    with pytest.raises(FewmarkError, match="this machine has 0 GPUs"):
        start_processes("cuda", devices=2)
