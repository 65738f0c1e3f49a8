"""Confidence against error, as the model cards show it: ``python -m training.confidence_table PATH/TO/300W``."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from training.evaluation import Evaluation, evaluate_model

WITHIN = 0.05  # of the normaliser


def confidence_rows(evaluation: Evaluation, parts: int = 10) -> list[tuple[float, float, float]]:
    """All labelled landmarks sorted by confidence and cut into equal parts.

    Returns:
        A part each, the least confident first: mean confidence, share with an error below ``WITHIN``, mean error.
    """
    labelled = np.isfinite(evaluation.errors)
    confidence, errors = evaluation.confidence[labelled], evaluation.errors[labelled]
    order = np.argsort(confidence, kind="stable")
    return [
        (float(confidence[part].mean()), float((errors[part] < WITHIN).mean()), float(errors[part].mean()))
        for part in np.array_split(order, parts)
    ]


def main() -> None:
    """Prints the table's rows as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="300-W's root folder")
    parser.add_argument("--model", help="a shipped model's name or a model file")
    arguments = parser.parse_args()
    evaluation = evaluate_model(arguments.model, arguments.data, crops="truth")
    for number, (confidence, share, error) in enumerate(confidence_rows(evaluation), start=1):
        print(f"| {number} | {confidence:.2f} | {100 * share:.0f} % | {100 * error:.2f} |")


if __name__ == "__main__":
    main()
