"""Which model and which backend the user wants, for every workspace."""

from __future__ import annotations

import math
from pathlib import Path

from PyQt6.QtCore import QObject, pyqtSignal

from gui.settings.settings_schema import Settings, TrackingSettings
from gui.settings.settings_store import SettingsStore
from models.errors import FewmarkError
from models.registry import DEFAULT_MODEL, MODELS, model_title
from tracker.backends import BACKENDS
from tracker.config import DetectionConfig, OneEuroSettings, TrackerConfig, TrackingConfig

AUTO = "auto"
BACKEND_TITLES = {
    "auto": "Automatic",
    "tensorrt": "TensorRT",
    "tensorrt_rtx": "TensorRT for RTX",
    "cuda_graphs": "CUDA graphs",
    "openvino": "OpenVINO",
    "eager": "PyTorch",
}
_CALMEST_CUTOFF_HZ, _LIVELIEST_CUTOFF_HZ = 0.5, 4.5  # at strengths 1 and 0; 0.5 gives the filter's own default


class ModelChooser(QObject):
    """The wish; what really runs is said by ``Status``. Kept in the settings, so that it is remembered."""

    changed = pyqtSignal()  # model, backend or anything else that ``tracker_config`` depends on

    def __init__(self, settings: SettingsStore, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._settings = settings
        self._seen = settings.current.tracking
        settings.changed.connect(self._on_settings)

    @property
    def model(self) -> str:
        """A name of ``MODELS`` or the path of a model file."""
        return self._settings.current.tracking.model

    @property
    def backend(self) -> str:
        """ "auto" or a name of ``BACKENDS``."""
        return self._settings.current.tracking.backend

    @property
    def max_faces(self) -> int:
        return self._settings.current.tracking.max_faces

    @property
    def tracker_config(self) -> TrackerConfig:
        """What ``tracker.following.pipeline.open_tracker`` is to be given."""
        return tracker_config(self._settings.current.tracking)

    def model_choices(self) -> dict[str, str]:
        """What can be chosen -> title. The shipped models, and a file of the user's if one is chosen."""
        choices = {name: f"{name} (default)" if name == DEFAULT_MODEL else name for name in MODELS}
        if self.model not in choices:
            choices[self.model] = model_title(self.model)
        return choices

    def backend_choices(self) -> dict[str, str]:
        """What can be chosen -> title."""
        return {name: BACKEND_TITLES.get(name, name) for name in (AUTO, *BACKENDS)}

    def choose_model(self, model: str) -> None:
        """A name of ``MODELS``, or a model file; whether it is a usable one shows when a tracker loads it.

        Raises:
            FewmarkError: there is no such file; the choice stays as it was.
        """
        if model not in MODELS and not Path(model).is_file():
            raise FewmarkError(f"{model}: no such model file; choose another")
        self._settings.update("tracking", model=model)

    def choose_backend(self, backend: str) -> None:
        """ "auto" or a name of ``BACKENDS``."""
        self._settings.update("tracking", backend=backend)

    def choose_max_faces(self, count: int) -> None:
        self._settings.update("tracking", max_faces=count)

    def fall_back(self) -> None:
        """The shipped model and the automatic backend, after a choice that does not work here."""
        self._settings.update("tracking", model=DEFAULT_MODEL, backend=AUTO)

    def _on_settings(self, settings: Settings) -> None:
        if settings.tracking != self._seen:
            self._seen = settings.tracking
            self.changed.emit()


def tracker_config(settings: TrackingSettings) -> TrackerConfig:
    """The tracker's own settings that belong to those of the window."""
    return TrackerConfig(
        model=settings.model,
        backend=settings.backend,
        smooth=settings.smoothing > 0,
        detection=DetectionConfig(detector=settings.detector, small_faces=settings.small_faces),
        tracking=TrackingConfig(max_faces=settings.max_faces, min_confidence=settings.min_confidence),
        smoothing=OneEuroSettings(min_cutoff_hz=cutoff_hz(settings.smoothing)),
    )


def cutoff_hz(strength: float) -> float:
    """The One-Euro filter's cutoff at rest for a strength of 0 (liveliest) to 1 (calmest), geometric between them."""
    return _LIVELIEST_CUTOFF_HZ * math.pow(_CALMEST_CUTOFF_HZ / _LIVELIEST_CUTOFF_HZ, strength)
