"""A model on video, without labels: how much its landmarks jitter, and what smoothing makes of it at which lag."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from models.errors import FewmarkError
from models.landmark_schemes import LandmarkScheme
from tracker.config import OneEuroSettings
from tracker.following.pipeline import FaceTracker
from tracker.following.smoothing import OneEuroFilter
from tracker.geometry.crop import box_around_points
from tracker.types import FloatArray, TrackingResult
from tracker.version import fewmark_version
from training.evaluation.jitter import best_lag, departures, lag_costs, normalised_mean_jitter, still_jitter
from training.evaluation.metrics import face_parts
from training.evaluation.normalisers import LabelledFaces, check_normaliser, default_normaliser, normalising_lengths
from training.evaluation.plain_json import plain_json
from training.evaluation.plots import save_png

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

MIN_FRAMES = 10  # of a path; shorter ones are left out
MIN_MOVING = 100  # landmark positions, with fewer of which nothing is said of lag


@dataclass(frozen=True, slots=True, eq=False)
class FacePath:
    """One face through consecutive frames, T of them."""

    face_id: int
    times_s: Array  # (T,) rising
    raw: Array  # (T, K, 2) frame pixels, not smoothed
    smoothed: Array  # (T, K, 2)
    length: float  # px; median of the normaliser over the frames


@dataclass(frozen=True, slots=True)
class Stillness:
    """Jitter of all paths together, % of the normaliser, from frame to frame."""

    still_percent: float  # of the median frame: what trembles while nothing happens
    nmj_percent: float  # root mean square over all frames: normalised mean jitter
    parts_percent: dict[str, float]  # still jitter by part of the face


@dataclass(frozen=True, slots=True, eq=False)
class VideoEvaluation:
    """What was measured on one video."""

    video: str
    model: str
    backend: str
    normaliser: str
    smoothing: OneEuroSettings
    frames: int
    frames_with_face: int
    frame_rate: float  # frames/s, median
    paths: tuple[FacePath, ...]
    raw: Stillness
    smoothed: Stillness
    lag_ms: float | None  # that smoothing adds; None: too little moved to tell

    def to_json(self) -> str:
        """The figures, without the paths."""
        names = ("video", "model", "backend", "normaliser", "frames", "frames_with_face", "frame_rate", "lag_ms")
        figures = {name: getattr(self, name) for name in names}
        parts = {name: asdict(getattr(self, name)) for name in ("raw", "smoothed", "smoothing")}
        faces = [{"face_id": path.face_id, "frames": len(path.times_s), "px": path.length} for path in self.paths]
        content = plain_json({"fewmark": fewmark_version(), **figures, **parts, "paths": faces})
        return json.dumps(content, indent=2) + "\n"


def evaluate_video(
    results: Iterable[TrackingResult],
    tracker: FaceTracker,
    *,
    video: str,
    smoothing: OneEuroSettings | None = None,
    normaliser: str | None = None,
) -> VideoEvaluation:
    """Measures what a tracker makes of consecutive frames.

    Args:
        results: of consecutive frames, not smoothed: smoothing is done here, as the tracker would have done it.
        tracker: made the results.
        video: for the record.
        smoothing: default: the tracker's own settings.
        normaliser: a name of ``NORMALISERS``, taken from the predicted points; None takes the scheme's default.

    Raises:
        FewmarkError: no face was followed for ``MIN_FRAMES`` frames, or the normaliser is unknown.
    """
    if tracker.config.smooth:
        raise ValueError("a tracker that smooths has no raw paths")
    settings = smoothing or tracker.config.smoothing
    scheme = tracker.model.scheme
    name = check_normaliser(normaliser or default_normaliser(scheme))
    collector = _PathCollector(scheme, settings, name)
    frames = frames_with_face = 0
    for result in results:
        collector.add(result)
        frames += 1
        frames_with_face += bool(result.faces)
    paths = collector.finish()
    if not paths:
        raise FewmarkError(f"{video}: no face was followed for {MIN_FRAMES} frames; take a video that shows one longer")
    return VideoEvaluation(
        video=video,
        model=tracker.model.name,
        backend=tracker.backend.name,
        normaliser=name,
        smoothing=settings,
        frames=frames,
        frames_with_face=frames_with_face,
        frame_rate=float(1 / np.median(np.concatenate([np.diff(path.times_s) for path in paths]))),
        paths=paths,
        raw=_stillness([path.raw for path in paths], paths, scheme),
        smoothed=_stillness([path.smoothed for path in paths], paths, scheme),
        lag_ms=_lag_ms(paths),
    )


class _PathCollector:
    """Cuts the results of consecutive frames into one path a face, anew wherever a face is missing in a frame."""

    def __init__(self, scheme: LandmarkScheme, settings: OneEuroSettings, normaliser: str) -> None:
        self._scheme, self._settings, self._normaliser = scheme, settings, normaliser
        self._open: dict[int, list[tuple[float, FloatArray]]] = {}
        self._done: list[FacePath] = []

    def add(self, result: TrackingResult) -> None:
        faces = {face.face_id: face.points for face in result.faces}
        time_s = result.frame.time_s
        for face_id in list(self._open):
            if face_id not in faces or time_s <= self._open[face_id][-1][0]:
                self._close(face_id)
        for face_id, points in faces.items():
            self._open.setdefault(face_id, []).append((time_s, points))

    def finish(self) -> tuple[FacePath, ...]:
        for face_id in list(self._open):
            self._close(face_id)
        return tuple(self._done)

    def _close(self, face_id: int) -> None:
        path = self._open.pop(face_id)
        if len(path) < MIN_FRAMES:
            return
        smooth = OneEuroFilter(self._settings)
        smoothed = [smooth(points, time_s, box_around_points(points, self._scheme).width) for time_s, points in path]
        raw = np.stack([points for _, points in path])
        visible = np.ones(raw.shape[:2], bool)
        lengths = normalising_lengths(LabelledFaces(raw, visible, self._scheme), self._normaliser)
        self._done.append(
            FacePath(
                face_id=face_id,
                times_s=np.array([time_s for time_s, _ in path]),
                raw=raw.astype(np.float64),
                smoothed=np.stack(smoothed).astype(np.float64),
                length=float(np.nanmedian(lengths)),
            )
        )


def _stillness(positions: list[Array], paths: tuple[FacePath, ...], scheme: LandmarkScheme) -> Stillness:
    departed = np.concatenate(
        [departures(points, path.times_s) / path.length for points, path in zip(positions, paths, strict=True)]
    )
    return Stillness(
        still_percent=100 * still_jitter(departed),
        nmj_percent=100 * normalised_mean_jitter(departed),
        parts_percent={
            part: 100 * still_jitter(departed[:, list(members)]) for part, members in face_parts(scheme).items()
        },
    )


def _lag_ms(paths: tuple[FacePath, ...]) -> float | None:
    measured = [lag_costs(path.smoothed, path.raw, path.times_s, path.length) for path in paths]
    if sum(moving for _, _, moving in measured) < MIN_MOVING:
        return None
    costs: Array = np.sum([costs for _, costs, _ in measured], axis=0)
    return 1000 * best_lag(measured[0][0], costs)


def plot_video(evaluation: VideoEvaluation) -> Figure:
    """The path of the landmark that moves most, raw and smoothed, and the jitter of the face's parts."""
    from matplotlib.figure import Figure

    path = max(evaluation.paths, key=lambda path: len(path.times_s))
    relative = (path.raw - path.raw.mean(axis=0)) / path.length
    landmark, axis = np.unravel_index(int(relative.std(axis=0).argmax()), relative.shape[1:])
    figure = Figure(figsize=(9, 6), layout="constrained")
    motion, bars = figure.subplots(2, 1, height_ratios=(2, 1))
    for points, label, colour, width in (
        (path.raw, "not smoothed", "0.55", 1.0),
        (path.smoothed, "smoothed", "#d55e00", 1.4),
    ):
        shown = 100 * (points[:, landmark, axis] - path.raw[:, landmark, axis].mean()) / path.length
        motion.plot(path.times_s, shown, color=colour, linewidth=width, label=label)
    lag = "" if evaluation.lag_ms is None else f", lag {evaluation.lag_ms:.0f} ms"
    motion.set(
        title=f"face {path.face_id}, landmark {landmark}, {'xy'[int(axis)]}{lag}",
        xlabel="time, s",
        ylabel=f"position, % of {evaluation.normaliser}",
    )
    motion.legend(frameon=False)
    names = list(evaluation.raw.parts_percent)
    places = np.arange(len(names))
    bars.bar(places - 0.2, list(evaluation.raw.parts_percent.values()), 0.4, color="0.65", label="not smoothed")
    bars.bar(places + 0.2, list(evaluation.smoothed.parts_percent.values()), 0.4, color="#d55e00", label="smoothed")
    bars.set_xticks(places, names)
    bars.set(ylabel=f"still jitter, % of {evaluation.normaliser}")
    for axes in (motion, bars):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def print_video(evaluation: VideoEvaluation, console: Console) -> None:
    """What was measured, as a table."""
    title = f"{evaluation.video}: {evaluation.model}, {evaluation.backend}, {evaluation.frame_rate:.4g} frames/s"
    table = Table("jitter, % of " + evaluation.normaliser, "not smoothed", "smoothed", title=title)
    raw, smoothed = evaluation.raw, evaluation.smoothed
    table.add_row("still", f"{raw.still_percent:.3f}", f"{smoothed.still_percent:.3f}")
    for part, percent in raw.parts_percent.items():
        table.add_row(f"  {part}", f"{percent:.3f}", f"{smoothed.parts_percent[part]:.3f}")
    table.add_row("all frames (NMJ)", f"{raw.nmj_percent:.3f}", f"{smoothed.nmj_percent:.3f}")
    lag = "too little moved to tell" if evaluation.lag_ms is None else f"{evaluation.lag_ms:.0f} ms"
    table.add_row("lag", "0 ms", lag)
    console.print(table)
    paths = ", ".join(f"{len(path.times_s)} frames of face {path.face_id}" for path in evaluation.paths)
    console.print(f"A face in {evaluation.frames_with_face} of {evaluation.frames} frames; followed: {paths}.")


def write_video_report(evaluation: VideoEvaluation, folder: Path) -> list[Path]:
    """Writes ``video.json`` and ``video.png`` and returns their paths.

    Raises:
        FewmarkError: the folder can't be written to.
    """
    figures, plot = folder / "video.json", folder / "video.png"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        figures.write_text(evaluation.to_json(), encoding="utf-8")
        save_png(plot_video(evaluation), plot)
    except OSError as error:
        raise FewmarkError(f"{folder}: can't be written to ({error.strerror}); choose another --out") from error
    return [figures, plot]
