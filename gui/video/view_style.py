"""How a recording is drawn: the settings, less what its results don't allow."""

from __future__ import annotations

from gui.services import Services
from gui.video.entry import Entry
from models.landmark_schemes import IBUG_68
from tracker.overlays import OVERLAYS, RECONSTRUCTIONS, OverlayContext
from tracker.playback.viewer import ViewStyle


def view_style(services: Services, entry: Entry | None) -> ViewStyle:
    """For the results that the recording has by now."""
    video = services.settings.current.video
    results = entry.results if entry is not None else None
    loaded = entry.loaded if entry is not None and entry.growing is None else None
    left_out: set[str] = set()
    if loaded is None or loaded.no_heatmaps:
        left_out.add("heatmap")
    if loaded is None or loaded.no_reconstructions:
        left_out.update(RECONSTRUCTIONS)
    scheme = results.scheme if results is not None else IBUG_68  # without results nothing is drawn
    landmark = video.heatmap_landmark
    context = OverlayContext(
        scheme=scheme,
        heatmap_opacity=video.heatmap_opacity,
        stroke_opacity=video.overlay_opacity,
        reconstruction_opacity=video.reconstruction_opacity,
        error_map=video.error_map,
        chosen_landmark=landmark if 0 <= landmark < scheme.num_points else None,
    )
    overlays = tuple(name for name in video.overlays if name in OVERLAYS and name not in left_out)
    model = loaded.run.model_file if loaded is not None else services.models.model
    return ViewStyle(overlays, context, model, services.models.backend)
