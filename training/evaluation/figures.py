"""The figures of an evaluation, worked out of its landmarks: by subset, by part of the face, by confidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tracker.types import FloatArray
from training.evaluation.metrics import (
    FAILURE_THRESHOLD,
    WITHIN,
    ReliabilityBin,
    area_under_ced,
    expected_calibration_error,
    face_parts,
    failure_rate,
    nme_per_face,
    reliability,
)
from training.evaluation.normalisers import check_normaliser
from training.evaluation.plain_json import plain_json
from training.evaluation.result import Evaluation

_CONFIDENCE_PARTS = 10  # rows of the table of confidence against error


@dataclass(frozen=True, slots=True)
class SubsetRow:
    """The field's figures on some of the faces; a face that was not found counts as a failure, not into the NME."""

    subset: str
    faces: int
    missed: int
    nme_percent: float  # mean over the faces found
    failure_rate_percent: float
    auc_percent: float


@dataclass(frozen=True, slots=True)
class PartRow:
    """The error on a part of the face, over the faces found."""

    part: str
    landmarks: int
    error_percent: float  # mean
    within_percent: float  # share of landmarks with an error below WITHIN, by the data set's own normaliser
    confidence: float  # mean


@dataclass(frozen=True, slots=True)
class ConfidenceRow:
    """One of equally large shares of the landmarks, the least confident first."""

    confidence: float  # mean
    within_percent: float  # share with an error below WITHIN
    error_percent: float  # mean


@dataclass(frozen=True, slots=True)
class FaceRow:
    """One face."""

    index: int  # in the evaluation's order
    image: str  # relative to the data set's root
    subset: str
    nme_percent: float  # infinite: not found


@dataclass(frozen=True, slots=True)
class BackgroundRow:
    """Mean raw confidence on squares that show no face."""

    squares: int
    median: float
    percentile_95: float
    largest: float


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything that tables and reports show of one evaluation."""

    normaliser: str
    threshold: float
    unmeasured: int  # faces on which the normaliser's points are not labelled: they are in no figure
    overall: SubsetRow
    subsets: tuple[SubsetRow, ...]  # the data set's subsets, what papers make of them, attributes, all
    parts: tuple[PartRow, ...]
    landmark_error_percent: tuple[float, ...]  # (K,) mean over the faces found; NaN: nowhere labelled
    confidence: tuple[ConfidenceRow, ...]
    reliability: tuple[ReliabilityBin, ...]
    calibration_error: float  # ECE of the confidences as probabilities of an error below WITHIN; NaN: nothing found
    worst: tuple[FaceRow, ...]  # the worst first
    background: BackgroundRow | None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; what is not finite is None."""
        return {key: plain_json(value) for key, value in asdict(self).items()}


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One evaluation of a table or report."""

    name: str  # of the run or model; unique among the others
    evaluation: Evaluation
    figures: Figures


def unique_names(names: Sequence[str]) -> list[str]:
    """The names, numbered from their second appearance on: "a", "a 2"."""
    return [
        name if (before := list(names[:i]).count(name)) == 0 else f"{name} {before + 1}" for i, name in enumerate(names)
    ]


def work_out(
    evaluation: Evaluation, *, normaliser: str | None = None, threshold: float = FAILURE_THRESHOLD, worst: int = 12
) -> Figures:
    """All figures of an evaluation.

    Args:
        normaliser: a name of ``NORMALISERS``; None takes the data set's own.
        threshold: NME that makes a failure, and up to which the CED's area is taken; 0.1 is 10 %.
        worst: so many of the worst faces.

    Raises:
        FewmarkError: the normaliser is unknown, or the scheme lacks its points.
    """
    name = check_normaliser(normaliser or evaluation.normaliser)
    errors = evaluation.errors(name)
    nme = nme_per_face(errors)
    found = np.isfinite(nme)
    own_errors = evaluation.errors()  # what confidence is about, whatever the errors are shown by
    located = np.isfinite(own_errors)
    confidence, correct = evaluation.confidence[located], own_errors[located] < WITHIN
    order = [i for i in np.argsort(-nme, kind="stable").tolist() if not np.isnan(nme[i])]
    return Figures(
        normaliser=name,
        threshold=threshold,
        unmeasured=int(np.isnan(nme).sum()),
        overall=_subset_row("all", nme[~np.isnan(nme)], threshold),
        subsets=tuple(
            _subset_row(group, nme[members & ~np.isnan(nme)], threshold)
            for group, members in face_groups(evaluation).items()
        ),
        parts=_part_rows(evaluation, errors, own_errors),
        landmark_error_percent=tuple(100 * _mean_over_faces(errors[found]).astype(float)),
        confidence=_confidence_rows(confidence, own_errors[located]),
        reliability=tuple(reliability(confidence, correct)),
        calibration_error=expected_calibration_error(confidence, correct),
        worst=tuple(
            FaceRow(i, evaluation.faces.images[i], evaluation.faces.subsets[i], 100 * float(nme[i]))
            for i in order[:worst]
        ),
        background=_background_row(evaluation.background),
    )


def face_groups(evaluation: Evaluation) -> dict[str, np.ndarray]:
    """Name -> (N,) bool: the data set's subsets, the groups of published tables, and all together.

    Of names for the same faces the published one stays; "all" stands only where no other does.
    """
    faces = evaluation.faces
    subsets = np.array(faces.subsets)
    groups = {name: subsets == name for name in dict.fromkeys(faces.subsets)}
    for name in dict.fromkeys(name for names in faces.groups for name in names):
        members = np.array([name in names for names in faces.groups])
        groups = {other: mask for other, mask in groups.items() if not np.array_equal(mask, members)}
        groups[name] = members
    if not any(members.all() for members in groups.values()):
        groups["all"] = np.ones(len(subsets), bool)
    return groups


def _subset_row(name: str, nme: FloatArray, threshold: float) -> SubsetRow:
    found = nme[np.isfinite(nme)]
    return SubsetRow(
        subset=name,
        faces=len(nme),
        missed=len(nme) - len(found),
        nme_percent=100 * float(found.mean()) if len(found) else float("nan"),
        failure_rate_percent=100 * failure_rate(nme, threshold),
        auc_percent=100 * area_under_ced(nme, threshold),
    )


def _part_rows(evaluation: Evaluation, errors: FloatArray, own_errors: FloatArray) -> tuple[PartRow, ...]:
    rows = []
    for part, members in face_parts(evaluation.scheme).items():
        of_part, own = errors[:, list(members)], own_errors[:, list(members)]
        finite = np.isfinite(of_part) & np.isfinite(own)
        if finite.any():
            rows.append(
                PartRow(
                    part=part,
                    landmarks=len(members),
                    error_percent=100 * float(of_part[finite].mean()),
                    within_percent=100 * float((own[finite] < WITHIN).mean()),
                    confidence=float(evaluation.confidence[:, list(members)][finite].mean()),
                )
            )
    return tuple(rows)


def _mean_over_faces(errors: FloatArray) -> FloatArray:
    """(N, K) to (K,), NaN where a landmark is nowhere labelled."""
    return nme_per_face(errors.T)


def _confidence_rows(confidence: FloatArray, errors: FloatArray) -> tuple[ConfidenceRow, ...]:
    parts = np.array_split(np.argsort(confidence, kind="stable"), min(_CONFIDENCE_PARTS, len(confidence)) or 1)
    return tuple(
        ConfidenceRow(
            confidence=float(confidence[part].mean()),
            within_percent=100 * float((errors[part] < WITHIN).mean()),
            error_percent=100 * float(errors[part].mean()),
        )
        for part in parts
        if len(part)
    )


def _background_row(confidences: FloatArray | None) -> BackgroundRow | None:
    if confidences is None or not len(confidences):
        return None
    return BackgroundRow(
        squares=len(confidences),
        median=float(np.median(confidences)),
        percentile_95=float(np.percentile(confidences, 95)),
        largest=float(confidences.max()),
    )
