"""The checks of ``fewmark doctor``, without their printing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from models.errors import FewmarkError
from models.registry import DEFAULT_MODEL, MODELS, open_model
from tracker.backends import BACKENDS, open_backend
from tracker.config import DetectionConfig
from tracker.model_store import DETECTOR_MODELS, cache_directory, locate
from tracker.sources import list_cameras


@dataclass(frozen=True, slots=True)
class Check:
    """One finding."""

    subject: str
    state: Literal["ok", "note", "missing"]
    text: str


def run_checks(model_dir: Path | None = None) -> Iterator[Check]:
    """Looks at everything that tracking needs, and at what would make it better."""
    yield from _check_devices()
    yield from _check_models()
    yield from _check_detectors(model_dir)
    yield from _check_cameras()


def _check_devices() -> Iterator[Check]:
    if torch.cuda.is_available():
        yield Check("GPU", "ok", torch.cuda.get_device_name())
    elif torch.version.cuda is None:
        yield Check(
            "GPU", "note", "not used: this torch is a CPU build; install a CUDA build of torch to use an NVIDIA GPU"
        )
    else:
        yield Check("GPU", "note", "not used: torch has CUDA, but finds no NVIDIA driver or device")
    if torch.backends.mps.is_available():
        yield Check("GPU", "ok", "Apple MPS")


def _check_models() -> Iterator[Check]:
    for name in MODELS:
        try:
            model = open_model(name)
        except FewmarkError as error:
            yield Check(f"model {name}", "missing", str(error))
            continue
        yield Check(f"model {name}", "ok", f"{model.scheme.name}, {model.network.config.input_size} px crops")
        if name == DEFAULT_MODEL:
            backend = open_backend("auto", model)
            others = ", ".join(b for b in BACKENDS if b != backend.name)
            text = f"{backend.name} on {backend.device}" + (f" (also: {others})" if others else "")
            yield Check("backend", "ok", text)
            backend.close()


def _check_detectors(model_dir: Path | None) -> Iterator[Check]:
    for name in DETECTOR_MODELS:
        found = locate(name, model_dir)
        default = name == DetectionConfig().detector
        if found:
            yield Check(f"detector {name}", "ok", f"{found}{' (default)' if default else ''}")
        else:
            where = f"will be obtained on first use, into {cache_directory()}; or put it there, or name --model-dir"
            yield Check(f"detector {name}", "note", where)


def _check_cameras() -> Iterator[Check]:
    cameras = list_cameras()
    for camera in cameras:
        yield Check("camera", "ok", str(camera))
    if not cameras:
        yield Check("camera", "note", "none found; connect one, or track a file")
