"""The checks of ``fewmark doctor``, without their printing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av
import torch

from models.errors import FewmarkError
from models.files.header import read_header
from models.registry import AUTOENCODER, DEFAULT_MODEL, MODELS
from tracker.backends.nvidia import why_no_cuda
from tracker.detectors import AutomaticDetector
from tracker.files.model_store import DETECTOR_MODELS, MODEL_DIR_VARIABLE, cache_directory, locate
from tracker.sources import list_cameras


@dataclass(frozen=True, slots=True)
class Check:
    """One finding."""

    subject: str
    state: Literal["ok", "note", "missing"]  # note: works, and could be better; missing: tracking fails
    text: str


def run_checks(model_dir: Path | None = None) -> Iterator[Check]:
    """Looks at everything that tracking needs, and at what would make it better."""
    yield _check_gpu()
    yield from _check_models()
    yield from _check_detectors(model_dir)
    yield _check_encoder()
    yield from _check_cameras()


def _check_gpu() -> Check:
    if torch.cuda.is_available():
        return Check("GPU", "ok", torch.cuda.get_device_name())
    if torch.backends.mps.is_available():
        return Check("GPU", "ok", "Apple MPS")
    return Check("GPU", "note", f"not used by torch: {why_no_cuda()}")


def _check_models() -> Iterator[Check]:
    for entry in MODELS.values():
        is_default = entry.name == DEFAULT_MODEL
        try:
            entry.check()
            scheme = read_header(entry.weights, "model file").content["scheme"]["name"]
            yield Check(f"model {entry.name}", "ok", f"{scheme}{' (default)' if is_default else ''}")
        except FewmarkError as error:
            yield Check(f"model {entry.name}", "missing", str(error))
    try:
        AUTOENCODER.check()
        yield Check(f"autoencoder {AUTOENCODER.name}", "ok", "reconstructions for every model")
    except FewmarkError as error:  # landmarks do without
        yield Check(f"autoencoder {AUTOENCODER.name}", "note", f"no reconstructions: {error}")


def _check_detectors(model_dir: Path | None) -> Iterator[Check]:
    for name in DETECTOR_MODELS:
        try:
            found = locate(name, model_dir)
        except FewmarkError as error:  # a wrong file in the user's folder
            yield Check(f"detector {name}", "missing", str(error))
            continue
        if found:
            part = " (part of auto, the default)" if name in AutomaticDetector.PARTS else ""
            yield Check(f"detector {name}", "ok", f"{found}{part}")
        else:
            where = (
                f"not here yet: obtained on first use, into {cache_directory()}; "
                f"without a network put it there, or in a folder named by --model-dir or {MODEL_DIR_VARIABLE}"
            )
            yield Check(f"detector {name}", "note", where)


def _check_encoder() -> Check:
    if "libx264" in av.codecs_available:
        return Check("video encoder", "ok", "libx264")
    return Check("video encoder", "note", "no annotated videos: this PyAV has no libx264; pip install av brings one")


def _check_cameras() -> Iterator[Check]:
    cameras = list_cameras()
    for camera in cameras:
        yield Check("camera", "ok", str(camera))
    if not cameras:
        yield Check("camera", "note", "none found; connect one, or track a file")
