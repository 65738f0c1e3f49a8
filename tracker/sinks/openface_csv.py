"""Results as a table in the columns of OpenFace 2, with this project's own columns after them.

Columns, in this order, for a scheme of K landmarks:

    frame,face_id,timestamp,confidence,success      frame from 1, timestamp in seconds, success 0 or 1
    x_0..x_{K-1}, y_0..y_{K-1}                      pixels of the file; all x before all y
    c_0..c_{K-1}                                    confidence of each landmark, 0..1
    bbox_x,bbox_y,bbox_w,bbox_h                     left, top, width, height in the same
    recon_error                                     0..255; empty where no reconstruction was asked for
    source                                          the file that the row comes from

One row per face per frame. A frame without a face has one row: face_id -1, confidence 0, success 0, landmarks empty.
"""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

from models.landmark_schemes import LandmarkScheme
from tracker.geometry.pixel_aspect import in_file_pixels
from tracker.sinks.base import LineFile, ResultSink
from tracker.types import TrackedFace, TrackingResult


def openface_columns(num_points: int) -> list[str]:
    """The header for K = ``num_points`` landmarks."""
    return [
        *("frame", "face_id", "timestamp", "confidence", "success"),
        *(f"{axis}_{i}" for axis in "xyc" for i in range(num_points)),
        *("bbox_x", "bbox_y", "bbox_w", "bbox_h", "recon_error", "source"),
    ]


class OpenFaceCsvSink(ResultSink):
    """Writes ``path`` row by row; the header stands there from the start, the rows of a killed run are kept.

    Args:
        path: the CSV file; an existing one is replaced.
        scheme: gives the number of landmark columns.
        source: goes into the ``source`` column of frames that have no file name of their own.

    Raises:
        FewmarkError: the file can't be created.
    """

    def __init__(self, path: Path, scheme: LandmarkScheme, source: str = "") -> None:
        self._num_points = scheme.num_points
        self._source = source
        self._lines = LineFile(path, _csv([openface_columns(self._num_points)]))

    def write(self, result: TrackingResult) -> None:
        frame = str(result.frame.index + 1)
        timestamp = _fixed(result.frame.time_s, 6)
        source = result.frame.name or self._source
        if not result.faces:
            empty = [""] * (3 * self._num_points + 5)
            rows = [[frame, "-1", timestamp, "0", "0", *empty, source]]
        else:
            rows = [
                [frame, str(face.face_id), timestamp, _fixed(face.box.score), "1", *_measurements(face), source]
                for face in in_file_pixels(result)
            ]
        self._lines.append(_csv(rows))

    def close(self) -> None:
        self._lines.close()


def _csv(rows: list[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _measurements(face: TrackedFace) -> list[str]:
    left, top = (float(v) for v in face.box.xyxy[:2])
    values = [
        *face.points[:, 0].tolist(),
        *face.points[:, 1].tolist(),
        *face.confidence.tolist(),
        *(left, top, face.box.width, face.box.height),
    ]
    return [*(_fixed(value) for value in values), "" if face.recon_error is None else _fixed(face.recon_error)]


def _fixed(value: float, decimals: int = 3) -> str:
    """Plain decimals with '.', whatever the locale; empty where the value is not finite, for readers choke on 'nan'."""
    if not math.isfinite(value):
        return ""
    text = f"{value:.{decimals}f}"
    return text[1:] if text.startswith("-") and not text.strip("-0.") else text
