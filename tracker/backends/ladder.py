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
    try:
        candidate = OpenVinoBackend(model)
        deviation = _deviation(candidate, eager, _self_test_crop(model.network.config.input_size))
    except (FewmarkError, RuntimeError) as error:
        return Choice(eager, (str(error),))
    if deviation > MAX_DEVIATION:
        candidate.close()
        return Choice(eager, (f"backend openvino: differs from eager by {deviation:.2f} px of the crop",))
    return Choice(candidate, ())


def _deviation(candidate: Backend, reference: Backend, crop: ImageArray) -> float:
    return float(np.abs(candidate.predict(crop).points - reference.predict(crop).points).max())


@cache
def _self_test_crop(size: int) -> ImageArray:
    """(1, S, S, 3): the face of the demo clip."""
    with open_source(demo_clip()) as source:
        image = next(iter(source)).image
    x, y, side = _DEMO_FACE
    box = FaceBox(np.array([x - side / 2, y - side / 2, x + side / 2, y + side / 2], np.float32), 1.0)
    return cut_crop(image, frame_from_crop_matrix(box, size, CropRule()), size).image[None]
