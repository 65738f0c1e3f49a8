"""Datasets: a file each, all of them read into ``FaceSample``."""

from __future__ import annotations

from training.datasets.base import DatasetReport, FaceSample, Split
from training.datasets.dataset import SPLITS, Dataset
from training.datasets.registry import DATASETS, get_dataset, select_samples
from training.datasets.selection import split_validation

__all__ = [
    "DATASETS",
    "SPLITS",
    "Dataset",
    "DatasetReport",
    "FaceSample",
    "Split",
    "get_dataset",
    "select_samples",
    "split_validation",
]
