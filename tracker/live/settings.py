"""What a live session is asked for: a source, how to track it, what to show, and what to record."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from models.landmark_schemes import LandmarkScheme
from tracker.config import TrackerConfig
from tracker.overlays import RECONSTRUCTIONS, OverlayContext


@dataclass(frozen=True, slots=True)
class SourceRequest:
    """Where the frames are to come from."""

    spec: str  # as ``tracker.sources.open_source`` reads it; a file is played like a camera, over and over
    width: int | None = None  # px; asked of a camera, which may give another size
    height: int | None = None  # px
    frame_rate: float | None = None  # frames/s
    title: str = ""  # what the user calls it

    @property
    def name(self) -> str:
        """For messages."""
        return self.title or self.spec


@dataclass(frozen=True, slots=True)
class LiveView:
    """What is drawn over the frames."""

    overlays: tuple[str, ...] = ("contours", "points", "box")  # names of OVERLAYS
    heatmap_opacity: float = 0.6  # 0..1
    stroke_opacity: float = 1.0  # 0..1
    reconstruction_opacity: float = 1.0  # 0..1
    error_map: bool = False
    landmark: int | None = None  # whose heatmap is shown; None: of all landmarks, collapsed

    @property
    def heatmaps(self) -> bool:
        """Whether the tracker has to return heatmaps."""
        return "heatmap" in self.overlays

    @property
    def reconstructions(self) -> bool:
        """Whether the tracker has to return reconstructions."""
        return any(name in self.overlays for name in RECONSTRUCTIONS)

    def context(self, scheme: LandmarkScheme) -> OverlayContext:
        """The same for the overlay functions."""
        return OverlayContext(
            scheme,
            heatmap_opacity=self.heatmap_opacity,
            stroke_opacity=self.stroke_opacity,
            reconstruction_opacity=self.reconstruction_opacity,
            error_map=self.error_map,
            chosen_landmark=self.landmark,
        )


@dataclass(frozen=True, slots=True)
class LiveConfig:
    """Everything that may change while a session runs; each frame is treated by the newest one."""

    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    mirror: bool = False  # frames are flipped left to right before anything else sees them, recordings included
    view: LiveView = field(default_factory=LiveView)


@dataclass(frozen=True, slots=True)
class RecordingPlan:
    """Which files a recording consists of."""

    folder: Path  # made if it does not exist
    clean_video: bool = True
    annotated_video: bool = True
    csv: bool = True
    jsonl: bool = True  # what opens again with the video
