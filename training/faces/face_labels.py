"""Landmarks that a model gave unlabelled faces: what a smaller network learns from a larger one (distillation)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track as progress_bar
from torch import Tensor

from models.decoding.heatmaps import crop_from_heatmap
from models.errors import FewmarkError
from models.files.safetensors_file import read_safetensors, write_safetensors
from models.registry import open_model
from tracker.backends import choose_backend
from tracker.following.mirroring import predict_both_ways
from training.faces import load_faces

FORMAT = "fewmark-face-labels"
_BATCH = 8  # faces a prediction


@dataclass(frozen=True, slots=True, eq=False)
class FaceLabels:
    """Landmarks of N prepared faces."""

    names: tuple[str, ...]  # of the faces, as the store has them
    points: Tensor  # (N, K, 2) float32, pixels of the central crop
    confidence: Tensor  # (N, K) 0..1
    scheme: str
    crop_size: int  # px

    def at(self, size: int) -> Tensor:
        """The points (N, K, 2) in pixels of the same crops with another side."""
        return crop_from_heatmap(self.points, size, self.crop_size)


def label_faces(
    model_name: str,
    faces: Sequence[Path],
    out: Path,
    *,
    limit: int | None = None,
    backend: str = "auto",
    should_stop: Callable[[], bool] = lambda: False,
) -> Path:
    """Has a model look at every face and its mirror image, and writes what it found.

    Args:
        faces: folders that ``fewmark prepare-faces`` made for the model's crop size.
        limit: label that many only, spread evenly.
        should_stop: asked after every batch; then what is done so far is written.

    Raises:
        FewmarkError: the model or the faces can't be read, or don't fit each other.
    """
    model = open_model(model_name)
    size = model.network.config.input_size
    store = load_faces(faces, size=size, held_out=0.0, limit=limit)
    first = (store.images.shape[-1] - size) // 2
    runner = choose_backend(backend, model).backend
    points, confidence = [], []
    parts = store.images[..., first : first + size, first : first + size].split(_BATCH)
    for part in progress_bar(parts, description="labelling", console=Console(stderr=True)):
        crops = part.permute(0, 2, 3, 1)
        found = predict_both_ways(runner, np.ascontiguousarray(crops.numpy()), scheme=model.scheme)
        points.append(torch.from_numpy(found.points))
        confidence.append(torch.from_numpy(found.confidence))
        if should_stop():
            break
    runner.close()
    done = sum(len(p) for p in points)
    header = {
        "format": FORMAT,
        "version": 1,
        "model": model.name,
        "scheme": model.scheme.name,
        "crop_size": size,
        "names": list(store.names[:done]),
    }
    write_safetensors(out, {"points": torch.cat(points), "confidence": torch.cat(confidence)}, header, half=False)
    return out


def load_face_labels(path: Path) -> FaceLabels:
    """What ``label_faces`` wrote.

    Raises:
        FewmarkError: it is missing, damaged, or something else.
    """
    header, tensors = read_safetensors(path, "file of face labels")
    if header.get("format") != FORMAT:
        raise FewmarkError(f"{path}: holds {header.get('format', 'something else')}, not face labels")
    return FaceLabels(
        tuple(header["names"]), tensors["points"], tensors["confidence"], header["scheme"], int(header["crop_size"])
    )
