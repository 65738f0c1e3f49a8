"""The live core: frames in, tracking results out. No Qt.

What scripts may count on is named here, and loaded when it is first asked for: ``import tracker`` itself costs nothing.
See ``docs/library.md``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.errors import FewmarkError
    from models.files.model_file import FaceModel
    from models.landmark_schemes import LandmarkScheme
    from models.registry import open_model
    from tracker.config import (
        AssociationSettings,
        DetectionConfig,
        OneEuroSettings,
        TrackerConfig,
        TrackingConfig,
    )
    from tracker.following.pipeline import FaceTracker, open_tracker
    from tracker.overlays import OverlayContext, render
    from tracker.sources import FrameSource, open_source
    from tracker.types import FaceBox, Frame, SourceInfo, TrackedFace, TrackingResult

__all__ = [
    "AssociationSettings",
    "DetectionConfig",
    "FaceBox",
    "FaceModel",
    "FaceTracker",
    "FewmarkError",
    "Frame",
    "FrameSource",
    "LandmarkScheme",
    "OneEuroSettings",
    "OverlayContext",
    "SourceInfo",
    "TrackedFace",
    "TrackerConfig",
    "TrackingConfig",
    "TrackingResult",
    "open_model",
    "open_source",
    "open_tracker",
    "render",
]

# Where each name lives; the imports above are the same for type checkers.
_HOMES = {
    "models.errors": ("FewmarkError",),
    "models.files.model_file": ("FaceModel",),
    "models.landmark_schemes": ("LandmarkScheme",),
    "models.registry": ("open_model",),
    "tracker.config": ("AssociationSettings", "DetectionConfig", "OneEuroSettings", "TrackerConfig", "TrackingConfig"),
    "tracker.following.pipeline": ("FaceTracker", "open_tracker"),
    "tracker.overlays": ("OverlayContext", "render"),
    "tracker.sources": ("FrameSource", "open_source"),
    "tracker.types": ("FaceBox", "Frame", "SourceInfo", "TrackedFace", "TrackingResult"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

if not TYPE_CHECKING:  # or every misspelt name would have a type

    def __getattr__(name: str) -> Any:
        """A public name, from its home.

        Raises:
            AttributeError: there is none of that name.
            InstallError: the packages that would be imported are not ours.
        """
        if name not in _HOME_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from tracker.machine.install_check import check_packages_lie_together

        check_packages_lie_together()
        value = getattr(import_module(_HOME_OF[name]), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
