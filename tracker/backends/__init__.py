"""Backends: one file each. Heavy imports happen inside their constructors."""

from __future__ import annotations

from collections.abc import Callable

from models.checkpoint import FaceModel
from models.errors import FewmarkError
from tracker.backends.base import Backend, Prediction
from tracker.backends.eager import EagerBackend

BACKENDS: dict[str, Callable[[FaceModel], Backend]] = {"eager": EagerBackend}


def open_backend(name: str, model: FaceModel) -> Backend:
    """The backend of that name; "auto" takes the fastest that works here.

    Raises:
        FewmarkError: unknown, or it does not work here.
    """
    if name == "auto":
        name = "eager"
    if name not in BACKENDS:
        raise FewmarkError(f"backend {name!r} is unknown; choose auto or one of {', '.join(BACKENDS)}")
    return BACKENDS[name](model)


__all__ = ["BACKENDS", "Backend", "Prediction", "open_backend"]
