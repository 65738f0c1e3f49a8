"""From the window's settings to what a live session is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import platformdirs

from gui.settings.model_chooser import tracker_config
from gui.settings.settings_schema import LiveSettings, RecordingSettings, Settings
from tracker.files.assets import demo_clip
from tracker.live import LiveConfig, LiveView, RecordingPlan, SourceRequest
from tracker.sources import CameraInfo
from tracker.sources.opening import CAMERA_PREFIX

DEMO = "demo"  # no camera's id, no address, and no file that is meant


def live_config(settings: Settings) -> LiveConfig:
    """How frames are treated and drawn."""
    live = settings.live
    view = LiveView(
        overlays=live.overlays,
        heatmap_opacity=live.heatmap_opacity,
        stroke_opacity=live.overlay_opacity,
        reconstruction_opacity=live.reconstruction_opacity,
        error_map=live.error_map,
        landmark=live.heatmap_landmark if live.heatmap_landmark >= 0 else None,
    )
    return LiveConfig(tracker_config(settings.tracking), live.mirror, view)


def recording_plan(settings: RecordingSettings) -> RecordingPlan:
    """Where recordings go, and of which files they consist."""
    return RecordingPlan(
        folder=settings.folder or default_folder(),
        clean_video=settings.clean_video,
        annotated_video=settings.annotated_video,
        csv=settings.csv,
        jsonl=settings.jsonl,
    )


def default_folder() -> Path:
    """Of recordings and snapshots."""
    return Path(platformdirs.user_videos_dir()) / "Fewmark"


def source_choices(cameras: Sequence[CameraInfo], opened: Sequence[str]) -> dict[str, str]:
    """What can be chosen as a source -> its title.

    Args:
        cameras: are named by their stable id, or by their index where two have the same.
        opened: files and addresses that were named on the command line.
    """
    same_id = Counter(camera.stable_id for camera in cameras)
    same_name = Counter(camera.name for camera in cameras)
    choices = {}
    for camera in cameras:
        unique = camera.stable_id and same_id[camera.stable_id] == 1
        title = camera.name if same_name[camera.name] == 1 else f"{camera.name} ({camera.index})"
        choices[f"{CAMERA_PREFIX}{camera.stable_id if unique else camera.index}"] = title
    return {**choices, **{spec: Path(spec).name or spec for spec in opened}, DEMO: "Demo clip"}


def names_a_camera(source: str) -> bool:
    """Whether a key of ``source_choices`` is a camera's."""
    return source.lower().startswith(CAMERA_PREFIX) or (source.isascii() and source.isdigit())


def source_request(source: str, title: str, live: LiveSettings) -> SourceRequest:
    """A key of ``source_choices`` as a session wants it."""
    if source == DEMO:
        return SourceRequest(str(demo_clip()), title=title)
    return SourceRequest(source, live.width, live.height, live.frame_rate, title)
