"""DATASETS: what can be trained and evaluated on, by name; and the one way to a part of a dataset."""

from __future__ import annotations

from pathlib import Path

from models.errors import FewmarkError
from training.datasets.aflw import AFLW, AFLW_WITH_EARS
from training.datasets.aflw2000 import AFLW2000
from training.datasets.base import DatasetReport
from training.datasets.cofw import COFW
from training.datasets.csv_table import CSV
from training.datasets.dataset import SPLITS, Dataset
from training.datasets.dlib_xml import DLIB_XML
from training.datasets.labels import LABELS
from training.datasets.selection import split_validation
from training.datasets.w300 import W300
from training.datasets.w300lp import W300LP
from training.datasets.wflw import WFLW

DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (W300, WFLW, AFLW, AFLW_WITH_EARS, AFLW2000, W300LP, COFW, DLIB_XML, CSV, LABELS)
}


def get_dataset(name: str) -> Dataset:
    """A dataset by name.

    Raises:
        FewmarkError: there is none of that name.
    """
    try:
        return DATASETS[name]
    except KeyError:
        raise FewmarkError(f"dataset {name!r} is unknown; choose one of {', '.join(DATASETS)}") from None


def select_samples(name: str, root: Path, subset: str, validation: float = 0.1) -> DatasetReport:
    """The faces that a subset's name stands for.

    Args:
        name: of the dataset.
        root: its folder.
        subset: "validation" (what training holds out), "train" (the rest of the training split), "test", "all" (both
            splits), or one of the dataset's published test subsets.
        validation: share of the training split that is held out.

    Raises:
        FewmarkError: the dataset or the subset is unknown, or there is no face in it.
    """
    dataset = get_dataset(name)
    choices = ("validation", *SPLITS, *dataset.subsets)
    if subset not in choices:
        raise FewmarkError(f"subset {subset!r} is unknown; choose one of {', '.join(choices)}")
    if subset not in ("validation", "train"):
        return dataset.read(root, subset)
    report = dataset.read(root, "train")
    train, held_out = split_validation(report.samples, validation)
    chosen = held_out if subset == "validation" else train
    if not chosen:
        raise FewmarkError(f"{root}: no {subset} face among {len(report.samples)}, as {validation:.0%} are held out")
    return DatasetReport(chosen, report.skipped)
