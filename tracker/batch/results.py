"""Results read back from their files, so that a recording that was tracked once need not be tracked again."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import FewmarkError
from models.landmark_schemes import SCHEMES, LandmarkScheme
from tracker.geometry.pixel_aspect import in_file_pixels, in_frame_pixels
from tracker.sinks.json_lines import FORMAT, VERSION
from tracker.types import FaceBox, Frame, TrackedFace, TrackingResult

SAME_TIME_S = 5e-4  # the files round times to microseconds; no two frames of a film are this close
_FIRST_CAPACITY = 256  # rows


@dataclass(frozen=True, slots=True, eq=False)
class StoredResults:
    """The results of one source as arrays: F frames, N faces in all of them together, K landmarks.

    The faces of frame f are the rows ``first_face[f]`` to ``first_face[f + 1]``, in the order of their ids.
    """

    scheme: LandmarkScheme
    model: str
    source: str
    names: Sequence[str]  # F or more, as in ``Frame.name``
    frame_index: NDArray[np.int64]  # (F,) as in ``Frame.index``
    time_s: NDArray[np.float64]  # (F,) presentation times, rising
    first_face: NDArray[np.int64]  # (F + 1,)
    face_id: NDArray[np.int64]  # (N,)
    points: NDArray[np.float32]  # (N, K, 2) pixels of the file
    confidence: NDArray[np.float32]  # (N, K) 0..1
    box: NDArray[np.float32]  # (N, 4) left, top, right, bottom, pixels of the file
    score: NDArray[np.float32]  # (N,) 0..1, mean confidence
    recon_error: NDArray[np.float32]  # (N,) 0..255; NaN where no reconstruction was made
    frame_from_crop: NDArray[np.float64]  # (N, 2, 3), to pixels of the file; NaN where the file doesn't say
    crop_size: NDArray[np.int64]  # (N,) px; 0 where the file doesn't say
    confidence_meaning: str = ""  # see FaceModel.confidence_meaning; empty where the file doesn't say

    @property
    def num_frames(self) -> int:
        return len(self.time_s)

    @property
    def has_crops(self) -> bool:
        """Whether heatmaps and reconstructions can be made again without looking for the faces."""
        return bool(np.all(self.crop_size > 0))

    def result_of(self, frame: Frame) -> TrackingResult | None:
        """What is stored of a frame of the same source, found by its presentation time; None if it was not tracked."""
        row = int(np.searchsorted(self.time_s, frame.time_s - SAME_TIME_S))
        if row == self.num_frames or self.time_s[row] > frame.time_s + SAME_TIME_S:
            return None
        faces = range(int(self.first_face[row]), int(self.first_face[row + 1]))
        return TrackingResult(frame, in_frame_pixels(map(self._face, faces), frame), model=self.model)

    def confidence_by_face(self, start: int = 0) -> dict[int, tuple[NDArray[np.float64], NDArray[np.float32]]]:
        """Face id -> times [s] and mean confidences 0..1 of its frames, from frame number ``start`` on."""
        times = np.repeat(self.time_s, np.diff(self.first_face))
        begin = int(self.first_face[start])
        ids, scores, times = self.face_id[begin:], self.score[begin:], times[begin:]
        return {int(i): (times[ids == i], scores[ids == i]) for i in np.unique(ids)}

    def _face(self, i: int) -> TrackedFace:
        error = float(self.recon_error[i])
        return TrackedFace(
            face_id=int(self.face_id[i]),
            points=self.points[i],
            confidence=self.confidence[i],
            box=FaceBox(self.box[i], float(self.score[i])),
            frame_from_crop=self.frame_from_crop[i],
            crop_size=int(self.crop_size[i]),
            recon_error=None if np.isnan(error) else error,
        )


@dataclass(frozen=True, slots=True)
class Moment:
    """A time at which a face is hard to see."""

    index: int  # as in ``Frame.index``
    time_s: float
    confidence: float  # 0..1, mean over the landmarks of the least certain face


def least_confident_moments(
    results: StoredResults, *, count: int = 20, share: float = 0.1, apart_s: float = 1.0
) -> list[Moment]:
    """The moments with the least certain faces, the worst first.

    A frame counts by its least certain face. Frames without a face are left out: nobody may have been there.

    Args:
        count: at most so many moments.
        share: they lie among this share of the frames with a face, 0..1.
        apart_s: no two lie closer together, seconds.
    """
    rows = np.flatnonzero(np.diff(results.first_face))
    if not len(rows):
        return []
    lowest = np.minimum.reduceat(results.score, results.first_face[rows])
    times, indices = results.time_s[rows], results.frame_index[rows]
    worst = np.argsort(lowest, kind="stable")[: math.ceil(share * len(rows))]
    moments: list[Moment] = []
    for i in worst[np.isfinite(lowest[worst])]:
        if len(moments) < count and all(abs(moment.time_s - times[i]) >= apart_s for moment in moments):
            moments.append(Moment(int(indices[i]), float(times[i]), float(lowest[i])))
    return moments


class ResultsBuilder:
    """Results that grow frame by frame. One thread may append while others take snapshots."""

    def __init__(
        self, scheme: LandmarkScheme, *, model: str = "", source: str = "", confidence_meaning: str = ""
    ) -> None:
        self._about = (scheme, model, source, confidence_meaning)
        self._lock = Lock()
        self._names: list[str] = []
        self._frames = {"frame_index": _empty(np.int64), "time_s": _empty(np.float64), "first_face": _empty(np.int64)}
        self._faces = {
            "face_id": _empty(np.int64),
            "points": _empty(np.float32, scheme.num_points, 2),
            "confidence": _empty(np.float32, scheme.num_points),
            "box": _empty(np.float32, 4),
            "score": _empty(np.float32),
            "recon_error": _empty(np.float32),
            "frame_from_crop": _empty(np.float64, 2, 3),
            "crop_size": _empty(np.int64),
        }
        self._num_frames = self._num_faces = 0
        self._frames["first_face"][0] = 0

    def append(self, result: TrackingResult) -> None:
        """Takes the next frame's faces; the image is not kept."""
        self.append_row(result.frame.index, result.frame.time_s, result.frame.name, in_file_pixels(result))

    def append_row(self, index: int, time_s: float, name: str, faces: Sequence[TrackedFace]) -> None:
        """The same without a frame at hand: faces in pixels of the file, ``time_s`` after the row before."""
        with self._lock:
            n, first = self._num_frames, self._num_faces
            _make_room(self._frames, n + 2)  # first_face is one longer
            _make_room(self._faces, first + len(faces))
            self._frames["frame_index"][n], self._frames["time_s"][n] = index, time_s
            for i, face in enumerate(faces, first):
                self._set_face(i, face)
            self._names.append(name)
            self._num_frames, self._num_faces = n + 1, first + len(faces)
            self._frames["first_face"][n + 1] = self._num_faces

    def snapshot(self) -> StoredResults:
        """All rows so far. What is appended later does not change it, and nothing is copied."""
        scheme, model, source, confidence_meaning = self._about
        with self._lock:
            n, k = self._num_frames, self._num_faces
            frames, faces = dict(self._frames), dict(self._faces)
        return StoredResults(
            scheme=scheme,
            model=model,
            source=source,
            names=self._names,
            frame_index=frames["frame_index"][:n],
            time_s=frames["time_s"][:n],
            first_face=frames["first_face"][: n + 1],
            face_id=faces["face_id"][:k],
            points=faces["points"][:k],
            confidence=faces["confidence"][:k],
            box=faces["box"][:k],
            score=faces["score"][:k],
            recon_error=faces["recon_error"][:k],
            frame_from_crop=faces["frame_from_crop"][:k],
            crop_size=faces["crop_size"][:k],
            confidence_meaning=confidence_meaning,
        )

    def _set_face(self, i: int, face: TrackedFace) -> None:
        columns = self._faces
        if face.points.shape != columns["points"].shape[1:]:  # numpy would repeat a single point
            raise ValueError(f"{len(face.points)} landmarks instead of {len(columns['points'][0])}")
        columns["face_id"][i] = face.face_id
        columns["points"][i] = face.points
        columns["confidence"][i] = face.confidence
        columns["box"][i], columns["score"][i] = face.box.xyxy, face.box.score
        columns["recon_error"][i] = np.nan if face.recon_error is None else face.recon_error
        columns["frame_from_crop"][i], columns["crop_size"][i] = face.frame_from_crop, face.crop_size


def _empty(dtype: Any, *shape: int) -> NDArray[Any]:
    return np.empty((_FIRST_CAPACITY, *shape), dtype)


def _make_room(columns: dict[str, NDArray[Any]], rows: int) -> None:
    """Doubles columns that are too short; snapshots keep the old ones."""
    capacity = len(next(iter(columns.values())))
    if rows <= capacity:
        return
    for name, column in columns.items():
        longer = np.empty((max(rows, 2 * capacity), *column.shape[1:]), column.dtype)
        longer[:capacity] = column
        columns[name] = longer


def read_results(path: Path) -> StoredResults:
    """Reads the JSON lines that ``tracker.sinks.JsonLinesSink`` wrote.

    A last line that is cut off, as a killed run leaves it, is left out.

    Raises:
        FewmarkError: the file can't be read, or is none of these.
    """
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except OSError as error:
        raise FewmarkError(f"{path}: cannot be read ({error.strerror}); process the video again") from error
    if len(lines) > 1 and not lines[-1].endswith(b"\n"):
        del lines[-1]
    try:
        header = json.loads(lines[0])
        known = header["format"] == FORMAT and header["version"] == VERSION
        scheme = _scheme(str(header["scheme"]), tuple(map(str, header["points"]))) if known else None
    except (IndexError, ValueError, KeyError, TypeError):
        scheme = None
    if scheme is None:
        raise FewmarkError(f"{path}: its first line is not that of Fewmark's results; process the video again")
    about = {name: str(header.get(name, "")) for name in ("model", "source", "confidence_meaning")}
    builder = ResultsBuilder(scheme, **about)
    for number, line in enumerate(lines[1:], start=2):
        try:
            record = json.loads(line)
            faces = [_read_face(face) for face in record["faces"]]
            builder.append_row(int(record["frame"]), float(record["time_s"]), str(record.get("name", "")), faces)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise FewmarkError(f"{path}: line {number} is damaged ({error}); process the video again") from error
    return builder.snapshot()


def _scheme(name: str, point_names: tuple[str, ...]) -> LandmarkScheme:
    """The built-in scheme, with its contours; of any other the file knows no more than the names."""
    built_in = SCHEMES.get(name)
    return built_in if built_in and built_in.point_names == point_names else LandmarkScheme(name, point_names)


def _read_face(record: dict[str, Any]) -> TrackedFace:
    """One face of a line; null stands for what was not finite."""
    error = record.get("recon_error")
    matrix = record.get("frame_from_crop")
    return TrackedFace(
        face_id=int(record["id"]),
        points=np.array(record["points"], np.float32),
        confidence=np.array(record["confidence"], np.float32),
        box=FaceBox(np.array(record["box"], np.float32), _number(record["score"])),
        frame_from_crop=np.full((2, 3), np.nan) if matrix is None else np.array(matrix, np.float64),
        crop_size=int(record.get("crop_size", 0)) if matrix is not None else 0,
        recon_error=None if error is None else float(error),
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
