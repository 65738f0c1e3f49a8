"""An evaluation as files: its landmarks, its figures as JSON, the CED plot, and one page that holds everything."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.errors import FewmarkError
from tracker.version import fewmark_version
from training.evaluation.contact_sheet import LABELLED, PREDICTED, worst_faces
from training.evaluation.figures import Entry
from training.evaluation.mean_face import mean_face
from training.evaluation.metrics import WITHIN
from training.evaluation.plots import plot_ced, plot_mean_face, plot_reliability, save_png, to_svg
from training.evaluation.result import POINTS_FILE
from training.evaluation.tables import decimals

_TEMPLATE = Path(__file__).with_name("report.html.jinja")


def write_reports(entries: Sequence[Entry], subjects: int, folder: Path, data: Path) -> list[Path]:
    """A report about each of the first ``subjects`` entries, beside all others; several get a sub-folder each.

    Arguments and errors as for ``write_report``.
    """
    paths: list[Path] = []
    for i, subject in enumerate(entries[:subjects]):
        others = [*entries[:i], *entries[i + 1 :]]
        place = folder if subjects == 1 else folder / re.sub(r"[^\w .-]", "_", subject.name)
        paths += write_report([subject, *others], place, data)
    return paths


def write_report(entries: Sequence[Entry], folder: Path, data: Path) -> list[Path]:
    """Writes ``evaluation.json``, ``evaluation.npz``, ``ced.png`` and ``report.html``.

    The first entry is what the report is about: its landmarks are kept, its worst faces shown. The others stand beside
    it for comparison.

    Args:
        data: the data set's root folder, for the pictures of the worst faces.

    Returns:
        The files' paths.

    Raises:
        FewmarkError: the folder can't be written to.
    """
    paths = [folder / name for name in ("evaluation.json", POINTS_FILE, "ced.png", "report.html")]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        paths[0].write_text(json.dumps(describe(entries), indent=2) + "\n", encoding="utf-8")
        entries[0].evaluation.save(paths[1])
        save_png(plot_ced(entries), paths[2])
        paths[3].write_text(render_page(entries, data), encoding="utf-8")
    except OSError as error:
        raise FewmarkError(f"{folder}: can't be written to ({error.strerror}); choose another --out") from error
    return paths


def describe(entries: Sequence[Entry]) -> dict[str, Any]:
    """Plain JSON: the first evaluation's figures, and those of the others under "compared"."""
    first, *others = (_describe(entry) for entry in entries)
    return {"fewmark": fewmark_version(), **first, "compared": others}


def _describe(entry: Entry) -> dict[str, Any]:
    evaluation = entry.evaluation
    return {
        "name": entry.name,
        "model": evaluation.model,
        "dataset": evaluation.dataset,
        "subset": evaluation.subset,
        "crops": evaluation.crops,
        "backend": evaluation.backend,
        "confidence_meaning": evaluation.confidence_meaning,
        "calibrated_on": evaluation.calibrated_on,
        "cross_validated_error": evaluation.cross_validated_error,
        **entry.figures.to_dict(),
        "skipped": list(evaluation.skipped),
    }


def render_page(entries: Sequence[Entry], data: Path) -> str:
    """The report as one HTML page that needs no other file."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    subject = entries[0]
    evaluation, figures = subject.evaluation, subject.figures
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["decimals"] = decimals
    pictures = [
        {"row": picture.row, "source": "data:image/jpeg;base64," + base64.b64encode(picture.jpeg).decode()}
        for picture in worst_faces(evaluation, figures, data)
    ]
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        entries=entries,
        evaluation=evaluation,
        figures=figures,
        version=fewmark_version(),
        within=100 * WITHIN,
        ced=Markup(to_svg(plot_ced(entries))),
        mean_face=Markup(to_svg(plot_mean_face(evaluation, figures, mean_face(evaluation)))),
        reliability=Markup(to_svg(plot_reliability(figures))),
        pictures=pictures,
        labelled=f"rgb{LABELLED}",
        predicted=f"rgb{PREDICTED}",
        same_faces=[entry.evaluation.faces.images == evaluation.faces.images for entry in entries],
    )
