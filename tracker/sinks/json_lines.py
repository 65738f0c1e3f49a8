"""Results as JSON lines: one header object, then one object per frame.

Header:  {"format": "fewmark-landmarks", "version": 1, "scheme": str, "points": [K names], "model": str, "source": str,
          "confidence_meaning": str where it is known}
Frame:   {"frame": int from 0, "time_s": float, "name": str where the frame is a file of its own, "faces": [Face]}
Face:    {"id": int, "box": [left, top, right, bottom], "score": 0..1, "points": [[x, y] * K], "confidence": [0..1 * K],
          "crop_size": int, "frame_from_crop": [[a, b, c], [d, e, f]], "recon_error": 0..255 where one was asked for}

Positions are pixels of the file, (0, 0) the centre of the top-left one; ``frame_from_crop`` maps the pixels of the crop
that the network saw to them, so that its heatmaps can be made again. Floats have three decimals, times and matrices
six; a value that is not finite is null.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from models.landmark_schemes import LandmarkScheme
from tracker.geometry.pixel_aspect import in_file_pixels
from tracker.sinks.base import LineFile, ResultSink
from tracker.types import TrackedFace, TrackingResult

FORMAT = "fewmark-landmarks"
VERSION = 1


class JsonLinesSink(ResultSink):
    """Writes ``path`` line by line; the header stands there from the start, the lines of a killed run are kept.

    Args:
        path: the file; an existing one is replaced.
        scheme: its name and its point names go into the header.
        model: name of the model that made the results.
        source: path, URL or camera that the frames come from.
        confidence_meaning: see ``FaceModel.confidence_meaning``.

    Raises:
        FewmarkError: the file can't be created.
    """

    def __init__(
        self, path: Path, scheme: LandmarkScheme, *, model: str = "", source: str = "", confidence_meaning: str = ""
    ) -> None:
        header = {
            "format": FORMAT,
            "version": VERSION,
            "scheme": scheme.name,
            "points": list(scheme.point_names),
            "model": model,
            "source": source,
        }
        if confidence_meaning:
            header["confidence_meaning"] = confidence_meaning
        self._lines = LineFile(path, _line(header))

    def write(self, result: TrackingResult) -> None:
        frame = result.frame
        record: dict[str, Any] = {"frame": frame.index, "time_s": _rounded(frame.time_s, 6)}
        if frame.name:
            record["name"] = frame.name
        record["faces"] = [_face_record(face) for face in in_file_pixels(result)]
        self._lines.append(_line(record))

    def close(self) -> None:
        self._lines.close()


def _line(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"


def _face_record(face: TrackedFace) -> dict[str, Any]:
    record = {
        "id": face.face_id,
        "box": [_rounded(v) for v in face.box.xyxy.tolist()],
        "score": _rounded(face.box.score),
        "points": [[_rounded(x), _rounded(y)] for x, y in face.points.tolist()],
        "confidence": [_rounded(v) for v in face.confidence.tolist()],
        "crop_size": face.crop_size,
        "frame_from_crop": [[_rounded(v, 6) for v in row] for row in face.frame_from_crop.tolist()],
    }
    if face.recon_error is not None:
        record["recon_error"] = _rounded(face.recon_error)
    return record


def _rounded(value: float, decimals: int = 3) -> float | None:
    return round(value, decimals) + 0.0 if math.isfinite(value) else None  # + 0.0 turns -0.0 into 0.0
