"""Which backend runs: the first, from the fastest down, that works here and agrees with eager on a real face."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from models.checkpoint import FaceModel
from models.crop_rule import CropRule
from models.errors import FewmarkError
from tracker.assets import demo_clip
from tracker.backends.base import Backend
from tracker.backends.eager import EagerBackend, best_device
from tracker.backends.openvino import OpenVinoBackend
from tracker.crop import cut_crop, frame_from_crop_matrix
from tracker.sources import open_source
from tracker.types import FaceBox, ImageArray

# From the fastest down. On a GPU eager comes first: OpenVINO is for the CPU.
BACKENDS: dict[str, Callable[[FaceModel], Backend]] = {"openvino": OpenVinoBackend, "eager": EagerBackend}

MAX_DEVIATION = 0.5  # of any landmark from eager, crop pixels
_DEMO_FACE = (600.0, 300.0, 250.0)  # centre and side, px, of the face in the demo clip's first frame


@dataclass(frozen=True, slots=True)
class Choice:
    """The backend that runs, and why none of the better ones does."""

    backend: Backend
    passed_over: tuple[str, ...]  # "name: reason", from the best down


def choose_backend(name: str, model: FaceModel) -> Choice:
    """The backend of that name, or with "auto" the best that works.

    Raises:
        FewmarkError: unknown, or forced by name and it does not work here.
    """
    if name != "auto":
        if name not in BACKENDS:
            raise FewmarkError(f"backend {name!r} is unknown; choose auto or one of {', '.join(BACKENDS)}")
        return Choice(BACKENDS[name](model), ())
    eager = EagerBackend(model)
    if best_device() != "cpu":
        return Choice(eager, ())
    passed_over: list[str] = []
    try:
        candidate = OpenVinoBackend(model)
        while (deviation := _deviation(candidate, eager)) > MAX_DEVIATION:
            reason = f"differs from eager by {deviation:.2f} px of the crop"
            passed_over.append(f"backend openvino in {candidate.precision}: {reason}")
            candidate.close()
            if candidate.precision == "f32":
                return Choice(eager, tuple(passed_over))
            candidate = OpenVinoBackend(model, precision="f32")
    except (FewmarkError, RuntimeError) as error:
        return Choice(eager, (*passed_over, str(error)))
    return Choice(candidate, tuple(passed_over))


def _deviation(candidate: Backend, reference: EagerBackend) -> float:
    crop = _self_test_crop(reference.crop_size)
    return float(np.abs(candidate.predict(crop).points - reference.predict(crop).points).max())


@cache
def _self_test_crop(size: int) -> ImageArray:
    """(1, S, S, 3): the face of the demo clip."""
    with open_source(demo_clip()) as source:
        image = next(iter(source)).image
    x, y, side = _DEMO_FACE
    box = FaceBox(np.array([x - side / 2, y - side / 2, x + side / 2, y + side / 2], np.float32), 1.0)
    return cut_crop(image, frame_from_crop_matrix(box, size, CropRule()), size).image[None]
