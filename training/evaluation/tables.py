"""Evaluations as tables for a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from training.evaluation.figures import Entry
from training.evaluation.metrics import WITHIN


def print_evaluation(entry: Entry, console: Console) -> None:
    """Everything about one model: by subset, by part of the face, confidence, the worst faces."""
    evaluation, figures = entry.evaluation, entry.figures
    title = f"{evaluation.model}, {evaluation.backend}, crops from {evaluation.crops}"
    threshold = f"{100 * figures.threshold:g} %"
    subsets = Table("subset", "faces", "missed", "NME %", f"FR@{threshold}", f"AUC@{threshold}", title=title)
    for row in figures.subsets:
        subsets.add_row(
            row.subset,
            str(row.faces),
            str(row.missed),
            decimals(row.nme_percent),
            decimals(row.failure_rate_percent),
            decimals(row.auc_percent),
        )
    console.print(subsets)
    console.print(f"NME: by {figures.normaliser}, mean over the faces found. A missed face counts as a failure.")
    if figures.unmeasured:
        console.print(f"Left out: {figures.unmeasured} faces on which {figures.normaliser} is not labelled.")
    parts = Table("part", "landmarks", "error %", f"within {100 * WITHIN:g} %", "confidence")
    for part in figures.parts:
        parts.add_row(
            part.part,
            str(part.landmarks),
            decimals(part.error_percent),
            f"{decimals(part.within_percent, 1)} %",
            decimals(part.confidence),
        )
    console.print(parts)
    seen = ""
    if evaluation.calibrated_on_these and evaluation.cross_validated_error is not None:
        seen = f" on the faces that calibrated it, {evaluation.cross_validated_error:.3f} on unseen ones"
    console.print(f"confidence: {evaluation.confidence_meaning}; ECE {decimals(figures.calibration_error, 3)}{seen}")
    if figures.background is not None:
        without_face = figures.background
        console.print(
            f"raw confidence of {without_face.squares} squares without a face: median {without_face.median:.2f}, "
            f"95th percentile {without_face.percentile_95:.2f}, largest {without_face.largest:.2f}"
        )
    for face in figures.worst[:2]:
        how = f"NME {face.nme_percent:.1f} %" if math.isfinite(face.nme_percent) else "not found"
        console.print(f"worst: {face.image}, {how}", markup=False, soft_wrap=True)


def print_comparison(entries: Sequence[Entry], console: Console) -> None:
    """Several models side by side, over all their faces."""
    threshold = f"{100 * entries[0].figures.threshold:g} %"
    table = Table("run", "faces", "missed", "NME %", f"FR@{threshold}", f"AUC@{threshold}", "ECE", title="compared")
    for entry in entries:
        row = entry.figures.overall
        table.add_row(
            entry.name,
            str(row.faces),
            str(row.missed),
            decimals(row.nme_percent),
            decimals(row.failure_rate_percent),
            decimals(row.auc_percent),
            decimals(entry.figures.calibration_error, 3),
        )
    console.print(table)
    for entry in entries[1:]:
        if entry.evaluation.faces.images != entries[0].evaluation.faces.images:
            console.print(f"{entry.name} was measured on other faces than {entries[0].name}.", markup=False)


def decimals(value: float, places: int = 2) -> str:
    """A number for a table; "-" where there is none."""
    return f"{value:.{places}f}" if math.isfinite(value) else "-"
