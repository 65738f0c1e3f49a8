"""What half precision costs over 500 real faces: float16 computed as a GPU does, bf16 where the processor has it.

``-s`` shows the figures.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from installed import needs
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from models.files.model_file import FaceModel
from models.registry import MODELS, open_model
from tracker.backends.graph import CropGraph
from tracker.backends.openvino import OpenVinoBackend
from tracker.backends.self_test import MAX_DEVIATION, MAX_MEAN_DEVIATION
from tracker.geometry.crop import box_around_points, cut_crop, frame_from_crop_matrix, invert, transform_points
from tracker.types import ImageArray
from training.datasets import DATASETS
from training.evaluation.metrics import nme_per_face, point_errors

FACES = 500
BATCH = 20


class _HalfPrecision(TorchDispatchMode):
    """Rounds what every operation gives to float16; sums within one are float32. A CPU's own float16 is far slower.

    What a graph in float16 keeps in float32 is not rounded.
    """

    def __init__(self, graph: CropGraph) -> None:
        super().__init__()
        self._rounds = True
        for name, weight in graph.named_parameters():
            if weight.dtype == torch.float32:
                layer = graph.get_submodule(name.rpartition(".")[0])
                layer.register_forward_pre_hook(lambda *_: self._switch(False))
                layer.register_forward_hook(lambda *_: self._switch(True))

    def _switch(self, rounds: bool) -> None:
        self._rounds = rounds

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        def rounded(value: Any) -> Any:
            return value.copy_(value.half()) if isinstance(value, Tensor) and value.is_floating_point() else value

        found = operation(*args, **(kwargs or {}))
        return tree_map(rounded, found) if self._rounds else found


@torch.inference_mode()
def _points(graph: CropGraph, crops: ImageArray, precision: TorchDispatchMode | None = None) -> Tensor:
    """(N, K, 2) crop pixels."""
    found = []
    for start in range(0, len(crops), BATCH):
        images = graph.normalise(torch.from_numpy(crops[start : start + BATCH]))
        if precision is None:
            maps = graph.network.head(graph.network.decoder, graph.network.encoder.features(images))
        else:
            with precision:
                maps = graph.network.head(graph.network.decoder, graph.network.encoder.features(images.half().float()))
        found.append(graph.read(maps)[0])
    return torch.cat(found)


def _faces(model: FaceModel, shared_data: Path) -> tuple[ImageArray, NDArray[np.float64]]:
    """Crops of 500 faces drawn from 300-W, and their labels (N, K, 2) in crop pixels."""
    samples = DATASETS["300w"].read(shared_data / "300w", "all").samples
    size, crops, labels = model.network.config.input_size, [], []
    for i in np.random.default_rng(0).permutation(len(samples))[:FACES]:
        box = box_around_points(samples[i].points, model.scheme)
        matrix = frame_from_crop_matrix(box, size, model.crop_rule)
        crops.append(cut_crop(samples[i].load_image(), matrix, size).image)
        labels.append(transform_points(samples[i].points, invert(matrix)))
    return np.stack(crops), np.stack(labels).astype(np.float64)


def _check(model: FaceModel, found: Tensor, exact: Tensor, labels: NDArray[np.float64]) -> NDArray[np.float32]:
    """Points (N, K, 2) in crop pixels are within the limits of the half-precision rungs, and of what NME may change.

    Returns:
        (N, K) by how far they differ, crop pixels.
    """
    distance = (found - exact).norm(dim=-1).numpy()
    visible = np.ones(labels.shape[:2], bool)
    before, after = (
        100 * np.mean(nme_per_face(point_errors(model.as_labelled(points.numpy()), labels, visible, model.scheme)))
        for points in (exact, found)
    )
    print(
        f"\n{model.name}: {distance.mean():.4f} px on average, {distance.max():.2f} px at most, of {distance.size} "
        f"landmarks; NME {before:.4f} % to {after:.4f} %"
    )
    assert 0 < distance.mean() < MAX_MEAN_DEVIATION
    assert distance.max() < MAX_DEVIATION
    assert abs(after - before) < 0.02
    return distance


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_half_precision_keeps_landmarks_in_place(name: str, shared_data: Path) -> None:
    model = open_model(name)
    crops, labels = _faces(model, shared_data)
    half = CropGraph(model, dtype=torch.float16)
    precision = _HalfPrecision(half)
    distance = _check(model, _points(half.float(), crops, precision), _points(CropGraph(model), crops), labels)
    eyes = np.linalg.norm(labels[:, 36] - labels[:, 45], axis=-1)
    assert (distance.mean(axis=1) / eyes).mean() < 2e-4  # NME can't change by more than that: 0.02 points


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_bf16_keeps_landmarks_in_place(name: str, shared_data: Path) -> None:
    needs("openvino", extra="openvino")
    model = open_model(name)
    backend = OpenVinoBackend(model)
    if backend.precision != "bf16":
        pytest.skip("this processor does not compute in bf16")
    crops, labels = _faces(model, shared_data)
    found = np.concatenate([backend.predict(crops[i : i + BATCH]).points for i in range(0, FACES, BATCH)])
    _check(model, torch.from_numpy(found), _points(CropGraph(model), crops), labels)
