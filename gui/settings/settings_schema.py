"""The settings as data: a frozen tree whose fields carry what a panel needs to show them.

Two levels: sections, and plain values within them. A field with ``shown`` in its metadata appears in the settings
panel; any other is remembered all the same, and its control lives elsewhere in the window.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from models.registry import DEFAULT_MODEL

_KEY = "fewmark.control"

ThemeChoice = Literal["system", "dark", "light"]


@dataclass(frozen=True, slots=True)
class Control:
    """How a setting is shown. The field's type decides the widget: switch, number, choice, folder or text."""

    label: str
    help: str = ""
    minimum: float = 0.0
    maximum: float = 1.0
    step: float = 0.05
    unit: str = ""
    choices: Callable[[], tuple[str, ...]] | None = None  # of a text; a Literal brings its own


def shown(label: str, help: str = "", **rest: Any) -> dict[str, Control]:
    """Metadata of a field that has a control in the settings panel; ``rest`` are further fields of ``Control``."""
    return {_KEY: Control(label, help, **rest)}


def control_of(item: dataclasses.Field[Any]) -> Control | None:
    """How the field is shown in the settings panel; None: it has its control elsewhere."""
    control: Control | None = item.metadata.get(_KEY)
    return control


def _detectors() -> tuple[str, ...]:
    from tracker.detectors import DETECTORS

    return tuple(DETECTORS)


@dataclass(frozen=True, slots=True)
class WindowSettings:
    """The window itself."""

    theme: ThemeChoice = field(
        default="system", metadata=shown("Theme", "System follows the desktop, also when it changes.")
    )
    workspace: str = ""  # title of the one that was open last
    geometry: str = ""  # QWidget.saveGeometry, base64


@dataclass(frozen=True, slots=True)
class TrackingSettings:
    """What finds and follows the faces, in every workspace."""

    model: str = DEFAULT_MODEL  # a name of MODELS or the path of a model file
    backend: str = "auto"  # or a name of BACKENDS
    max_faces: int = field(
        default=20, metadata=shown("Faces at most", "The largest ones are followed.", minimum=1, maximum=40, step=1)
    )
    smoothing: float = 0.5  # 0 off .. 1 calmest
    detector: str = field(
        default="auto",
        metadata=shown(
            "Face detector",
            "Auto: near faces at once, and small ones wherever the picture changes.",
            choices=_detectors,
        ),
    )
    small_faces: bool = field(
        default=False, metadata=shown("Look for small faces", "Half as small as otherwise, in every look: slow.")
    )
    min_confidence: float = field(
        default=0.55,
        metadata=shown(
            "Least confidence of a face", "Mean over its landmarks; below it a face is given up.", step=0.01
        ),
    )


@dataclass(frozen=True, slots=True)
class OverlaySettings:
    """What is drawn over a workspace's picture; ``gui/panels/overlay_panel.py`` has the controls."""

    overlays: tuple[str, ...] = ("contours", "confidence", "box")  # names of tracker.overlays.OVERLAYS
    overlay_opacity: float = 1.0  # 0..1, of points, lines, boxes and ids
    heatmap_opacity: float = 0.6  # 0..1
    heatmap_landmark: int = -1  # index; -1: all landmarks collapsed
    reconstruction_opacity: float = 0.8  # 0..1, in place on the face
    error_map: bool = False


@dataclass(frozen=True, slots=True)
class LiveSettings(OverlaySettings):
    """The live workspace."""

    overlays: tuple[str, ...] = ("heatmap", "contours", "confidence", "ids")
    camera: str = ""  # stable id; empty: the first camera, or the demo clip where there is none
    width: int = 1280  # px, asked of the camera
    height: int = 720  # px, asked of the camera
    frame_rate: float = 30.0  # frames/s, asked of the camera
    mirror: bool = True
    start_at_once: bool = field(
        default=True, metadata=shown("Start when the window opens", "Opens the last camera without being asked.")
    )
    plot_seconds: float = field(
        default=20.0,
        metadata=shown("Length of the confidence plot", "", minimum=5.0, maximum=120.0, step=5.0, unit="s"),
    )


@dataclass(frozen=True, slots=True)
class RecordingSettings:
    """Recordings and snapshots of the live workspace."""

    folder: Path | None = field(default=None, metadata=shown("Folder", "Default: Fewmark in your videos folder."))
    clean_video: bool = field(default=True, metadata=shown("Video as the camera gave it"))
    annotated_video: bool = field(default=True, metadata=shown("Video with overlays"))
    csv: bool = field(default=True, metadata=shown("Table (CSV, OpenFace's columns)"))
    jsonl: bool = field(default=True, metadata=shown("JSON lines", "With them the video opens again with its results."))


@dataclass(frozen=True, slots=True)
class VideoSettings(OverlaySettings):
    """The video workspace."""

    speed: float = 1.0  # of playing
    loop: bool = False
    process_at_once: bool = field(default=False, metadata=shown("Process a video when it is opened"))
    results_folder: Path | None = field(
        default=None,
        metadata=shown(
            "Results folder",
            "Default: fewmark-results beside each video; where that can't be written, in your videos folder.",
        ),
    )
    film_rate: float = field(
        default=25.0,
        metadata=shown(
            "Rate of image folders",
            "Images of a folder are played as a film.",
            minimum=1.0,
            maximum=240.0,
            step=1.0,
            unit="frames/s",
        ),
    )
    last_folder: Path | None = None  # where the open dialog begins


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that the window remembers. Every field of it is a section."""

    window: WindowSettings = field(default_factory=WindowSettings)
    tracking: TrackingSettings = field(default_factory=TrackingSettings)
    live: LiveSettings = field(default_factory=LiveSettings)
    recording: RecordingSettings = field(default_factory=RecordingSettings)
    video: VideoSettings = field(default_factory=VideoSettings)
