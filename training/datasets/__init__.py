"""Datasets: one file each, all of them lists of ``FaceSample``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from training.datasets.base import DatasetReport, FaceSample
from training.datasets.w300 import read_w300

DatasetReader = Callable[[Path], DatasetReport]

DATASETS: dict[str, DatasetReader] = {"300w": read_w300}

__all__ = ["DATASETS", "DatasetReader", "DatasetReport", "FaceSample"]
