"""The plots of an evaluation, as matplotlib figures that hold no state of their own."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tracker.types import FloatArray
from training.evaluation.figures import Entry, Figures, face_groups
from training.evaluation.mean_face import MeanFace
from training.evaluation.metrics import WITHIN, ced_curve, nme_per_face
from training.evaluation.result import Evaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which colour-blind people can tell apart; black first, for the whole.
COLOURS = ("#000000", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_DASHES = ("-", "--", ":", "-.")


def plot_ced(entries: Sequence[Entry]) -> Figure:
    """Cumulative error distributions: of one model by subset, of several models over all faces."""
    figure, axes = _figure(6.4, 4.4)
    threshold, normaliser = entries[0].figures.threshold, entries[0].figures.normaliser
    for number, entry in enumerate(entries):
        nme = nme_per_face(entry.evaluation.errors(entry.figures.normaliser))
        groups = face_groups(entry.evaluation) if len(entries) == 1 else {entry.name: np.ones(len(nme), bool)}
        whole = len(nme)
        for order, (group, members) in enumerate(sorted(groups.items(), key=lambda item: -item[1].sum())):
            chosen = nme[members & ~np.isnan(nme)]
            x, y = ced_curve(chosen, threshold)
            index = number or order
            axes.plot(
                100 * x,
                100 * y,
                label=f"{group} ({len(chosen)})",
                color=COLOURS[index % len(COLOURS)],
                linestyle=_DASHES[index // len(COLOURS) % len(_DASHES)],
                linewidth=2.4 if members.sum() == whole else 1.3,
            )
    axes.set(
        xlabel=f"NME by {normaliser}, %",
        ylabel="faces with at most that, %",
        xlim=(0, 100 * threshold),
        ylim=(0, 100),
    )
    axes.legend(loc="lower right", fontsize="small", frameon=False)
    return figure


def plot_mean_face(evaluation: Evaluation, figures: Figures, face: MeanFace) -> Figure:
    """The error of every landmark on the mean face: its size by colour, where it goes by the one-sigma ellipse."""
    from matplotlib.patches import Ellipse

    figure, axes = _figure(6.0, 5.2)
    errors = np.array(figures.landmark_error_percent, np.float32)
    largest = max(float(np.nanmax(errors, initial=0.0)), 1e-6)
    colours = _much_is_dark(errors / largest)
    for a, b in evaluation.scheme.edges:
        axes.plot(*face.points[[a, b]].T, color="0.8", linewidth=1, zorder=1)
    for k, point in enumerate(face.points):
        if np.isfinite(point).all() and np.isfinite(face.covariance[k]).all():
            lengths, directions = np.linalg.eigh(face.covariance[k])
            width, height = 2 * np.sqrt(np.maximum(lengths[::-1], 0))
            angle = float(np.degrees(np.arctan2(directions[1, 1], directions[0, 1])))
            axes.add_patch(
                Ellipse(tuple(point), width, height, angle=angle, facecolor=colours[k], alpha=0.45, linewidth=0)
            )
    shown = axes.scatter(
        face.points[:, 0], face.points[:, 1], c=errors, cmap="viridis_r", vmin=0, vmax=largest, s=16, zorder=3
    )
    figure.colorbar(shown, ax=axes, label=f"mean error, % of {figures.normaliser}", shrink=0.8)
    axes.set_aspect("equal")
    axes.invert_yaxis()  # pixels count downwards
    axes.axis("off")
    return figure


def _much_is_dark(shares: FloatArray) -> FloatArray:
    """(K,) 0..1 to (K, 4) RGBA of the reversed viridis map, in which dark is much."""
    from matplotlib import colormaps

    return np.asarray(colormaps["viridis_r"](np.nan_to_num(shares)))


def plot_reliability(figures: Figures) -> Figure:
    """Confidence against the share of small errors, and how many landmarks have that confidence."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 5.2), layout="constrained")
    axes, counts = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    axes.plot((0, 1), (0, 1), color="0.6", linewidth=1, linestyle="--", label="calibrated")
    bins = figures.reliability
    confidence = [b.mean_confidence for b in bins]
    share = [b.share_correct for b in bins]
    axes.vlines(confidence, confidence, share, color=COLOURS[2], linewidth=2, alpha=0.6)
    axes.plot(confidence, share, "o-", color=COLOURS[1], markersize=4, label="measured")
    axes.set(ylabel=f"share with an error below {100 * WITHIN:g} %", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(loc="upper left", frameon=False)
    widths = [b.high - b.low for b in bins]
    counts.bar([b.low for b in bins], [b.count for b in bins], widths, align="edge", color="0.75")
    counts.set(xlabel="confidence", ylabel="landmarks")
    _quiet(axes)
    _quiet(counts)
    return figure


def save_png(figure: Figure, path: Path) -> None:
    """Writes a PNG at 144 dots an inch. OSError where it can't be written."""
    figure.savefig(path, dpi=144)


def to_svg(figure: Figure) -> str:
    """The figure as an ``<svg>`` element for a page; its text stays text."""
    from matplotlib import rc_context

    content = io.StringIO()
    with rc_context({"svg.fonttype": "none"}):  # laid out in matplotlib's own font, shown in the page's
        figure.savefig(content, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    svg = content.getvalue()
    return svg[svg.index("<svg") :]


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    _quiet(axes)
    return figure, axes


def _quiet(axes: Axes) -> None:
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
