"""Backends: one file each. Heavy imports happen inside their constructors."""

from __future__ import annotations

from tracker.backends.base import Backend, PassedOver, Prediction, PredictionRequest
from tracker.backends.ladder import BACKENDS, Choice, Rung, choose_backend, run_once, survey

__all__ = [
    "BACKENDS",
    "Backend",
    "Choice",
    "PassedOver",
    "Prediction",
    "PredictionRequest",
    "Rung",
    "choose_backend",
    "run_once",
    "survey",
]
