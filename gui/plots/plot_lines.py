"""Values over time as lines that a painter draws quickly, however many values there are."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QLineF, QPointF, QRectF

GAP_S = 0.6  # values further apart are not joined


def line_segments(
    times: NDArray[np.floating], values: NDArray[np.floating], range_s: tuple[float, float], rect: QRectF
) -> list[QLineF]:
    """A line in pieces: Qt joins those of a long polyline at a hundred times the cost.

    Args:
        times: (n,) seconds, rising.
        values: (n,) 0..1; what is not finite leaves a gap.
        range_s: times at the left and the right edge of ``rect``; what lies outside is left out.
        rect: 0 is its bottom, 1 its top.
    """
    start, end = range_s
    scale = rect.width() / max(end - start, 1e-9)
    rows = np.flatnonzero(np.isfinite(values) & (times >= start) & (times <= end))
    segments = []
    for part in np.split(rows, np.flatnonzero(np.diff(times[rows]) > GAP_S) + 1):
        xy = _thinned(np.stack([(times[part] - start) * scale, values[part]], axis=1))
        x = rect.left() + xy[:, 0]
        y = rect.bottom() - rect.height() * np.clip(xy[:, 1], 0, 1)
        if len(xy) == 1:  # a dot of its own
            x, y = np.array([x[0] - 0.75, x[0] + 0.75]), np.repeat(y, 2)
        points = [QPointF(px, py) for px, py in zip(x.tolist(), y.tolist(), strict=True)]
        segments += [QLineF(a, b) for a, b in pairwise(points)]
    return segments


def _thinned(xy: NDArray[np.floating]) -> NDArray[np.floating]:
    """(n, 2) points with rising x in pixels: of more than two in a pixel's column, the lowest and the highest."""
    columns = np.floor(xy[:, 0]).astype(np.int64)
    starts = np.flatnonzero(np.diff(columns, prepend=-1))
    if len(xy) <= 2 * len(starts):
        return xy
    lowest, highest = (f.reduceat(xy[:, 1], starts) for f in (np.minimum, np.maximum))
    x = columns[starts] + 0.5
    return np.stack([np.repeat(x, 2), np.stack([lowest, highest], axis=1).ravel()], axis=1)
