"""Dataset: a reader together with what the field has agreed upon for its data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast, get_args

from models.errors import FewmarkError
from models.landmark_schemes import LandmarkScheme
from training.datasets.base import DatasetReport, FaceSample, Split, in_order_of
from training.datasets.unlabelled_points import estimate_unlabelled

SPLITS: tuple[str, ...] = get_args(Split)


@dataclass(frozen=True, slots=True)
class Dataset:
    """An entry of ``DATASETS``."""

    name: str
    summary: str  # one line: what it is
    reader: Callable[[Path, Split], DatasetReport]
    scheme: LandmarkScheme | None  # None: its files say
    normaliser: str | None  # by which its papers divide errors: a name of NORMALISERS; None: the scheme's default
    subsets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    # ^ published parts of the test split -> the subsets and attributes whose faces belong to it; they may overlap

    def read(self, root: Path, split: str = "train") -> DatasetReport:
        """The faces of a split, in the dataset's own order; bad samples are skipped and named.

        Args:
            root: the dataset's folder, as its reader describes it.
            split: "train", "test", "all", or one of ``subsets``.

        Raises:
            FewmarkError: no such split or path, the folder holds something else, its files have different landmarks, or
                there is not one good face in the split.
        """
        if split not in SPLITS and split not in self.subsets:
            known = ", ".join((*SPLITS, *self.subsets))
            raise FewmarkError(f"dataset {self.name}: no split {split!r}; choose one of {known}")
        if not root.exists():
            raise FewmarkError(f"{root}: no such file or folder; check the path")
        report = self.reader(root, cast(Split, split) if split in SPLITS else "test")
        if split in self.subsets:
            report.samples = [sample for sample in report.samples if split in self.subsets_of(sample)]
        if not report.samples:
            why = f" ({len(report.skipped)} skipped; the first: {report.skipped[0]})" if report.skipped else ""
            raise FewmarkError(f"{root}: no {split} face of {self.name} here{why}")
        # Files may have the same columns in orders of their own; the first one's holds.
        scheme = report.samples[0].scheme
        report.samples = [s if s.scheme == scheme else in_order_of(scheme, s) for s in report.samples]
        report.samples = estimate_unlabelled(report.samples)
        return report

    def subsets_of(self, sample: FaceSample) -> tuple[str, ...]:
        """The published subsets that a face belongs to."""
        labels = {sample.subset, *sample.attributes}
        return tuple(name for name, members in self.subsets.items() if labels.intersection(members))
