"""What a run is asked for: which frames of a source, and which files of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from models.errors import FewmarkError
from tracker.batch.jobs import ANNOTATED
from tracker.following.pipeline import FaceTracker
from tracker.overlays import OVERLAYS, RECONSTRUCTIONS


@dataclass(frozen=True, slots=True)
class Selection:
    """Which frames of a source are tracked; by default all.

    Raises:
        FewmarkError: no frame can lie in it.
    """

    start_s: float | None = None  # presentation time of the first frame; files and folders only
    end_s: float | None = None  # presentation time before which the last frame lies; files and folders only
    seconds: float | None = None  # duration from the first tracked frame on; this is how a live source ends
    film_rate: float | None = None  # frames/s: a folder's images are a film's frames; None: each stands for itself

    def __post_init__(self) -> None:
        if self.end_s is not None and self.end_s <= (self.start_s or 0.0):
            raise FewmarkError(f"end {self.end_s:g} s is not after start {self.start_s or 0.0:g} s; give a later end")
        if self.seconds is not None and not 0 < self.seconds < float("inf"):
            raise FewmarkError(f"{self.seconds:g} s is no duration to track; give a positive number of seconds")

    @property
    def duration_s(self) -> float | None:
        """The longest that the selected frames can last, None if the source decides."""
        until_end = None if self.end_s is None else self.end_s - (self.start_s or 0.0)
        known = [value for value in (until_end, self.seconds) if value is not None]
        return min(known, default=None)


@dataclass(frozen=True, slots=True)
class OutputChoice:
    """Which files a source gets.

    Raises:
        FewmarkError: none at all, or an overlay is unknown.
    """

    csv: bool = True
    jsonl: bool = False
    video: bool = False  # annotated; a source of stills gets annotated images instead
    overlays: tuple[str, ...] = ("contours", "points", "box")

    def __post_init__(self) -> None:
        if not (self.csv or self.jsonl or self.video):
            raise FewmarkError("nothing to write: choose at least one of --csv, --jsonl and --video")
        if unknown := [name for name in self.overlays if name not in OVERLAYS]:
            raise FewmarkError(f"overlay {unknown[0]!r} is unknown; choose from {', '.join(OVERLAYS)}")

    @property
    def heatmaps(self) -> bool:
        """Whether the tracker has to return heatmaps."""
        return self.video and "heatmap" in self.overlays

    @property
    def reconstructions(self) -> bool:
        """Whether the tracker has to return reconstructions."""
        return self.video and any(name in RECONSTRUCTIONS for name in self.overlays)

    def check(self, tracker: FaceTracker) -> None:
        """Raises FewmarkError for a choice that this tracker can't serve."""
        if self.reconstructions and not tracker.model.reconstructs:
            raise FewmarkError(tracker.model.why_no_reconstruction)

    def paths(self, out: Path, stem: str, *, are_stills: bool) -> dict[str, Path]:
        """Kind in ``SINKS`` -> file, for images folder, of one source."""
        picture = ("images", f"{stem}{ANNOTATED}") if are_stills else ("video", f"{stem}{ANNOTATED}.mp4")
        chosen = [(self.csv, ("csv", f"{stem}.csv")), (self.jsonl, ("jsonl", f"{stem}.jsonl")), (self.video, picture)]
        return {kind: out / name for wanted, (kind, name) in chosen if wanted}
