"""Validation: the part of the training faces that is held out, the same one for training and for evaluation."""

from __future__ import annotations

from collections.abc import Sequence

from training.datasets.base import FaceSample


def split_validation(samples: Sequence[FaceSample], fraction: float) -> tuple[list[FaceSample], list[FaceSample]]:
    """(training, validation): the last ``fraction`` of the groups of each subset, in the dataset's order.

    A block, not a draw: near-duplicates (in LFPW, or frames of one video) are neighbours, and only one seam a subset
    can part a pair. A group that reaches over subsets counts where its first face stands.
    """
    groups: dict[str, list[str]] = {}
    seen: set[str] = set()
    for sample in samples:
        if sample.group not in seen:
            seen.add(sample.group)
            groups.setdefault(sample.subset, []).append(sample.group)
    held_out = {
        group for members in groups.values() for group in members[len(members) - round(len(members) * fraction) :]
    }
    train = [sample for sample in samples if sample.group not in held_out]
    validation = [sample for sample in samples if sample.group in held_out]
    return train, validation
