"""Backends: one file each. Heavy imports happen inside their constructors."""

from __future__ import annotations

from tracker.backends.base import Backend, Prediction
from tracker.backends.ladder import BACKENDS, Choice, choose_backend

__all__ = ["BACKENDS", "Backend", "Choice", "Prediction", "choose_backend"]
