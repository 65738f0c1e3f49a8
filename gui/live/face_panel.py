"""The faces in the picture, how many are followed, and how calmly."""

from __future__ import annotations

from PyQt6.QtWidgets import QVBoxLayout, QWidget

from gui.look import theme
from gui.panels.face_list import FaceList
from gui.services import Services
from gui.settings.settings_schema import Settings
from gui.widgets import LabelledSlider

_MOST_FACES = 40  # that can be set


class FacePanel(QWidget):
    """Two sliders, which are settings, over the list of faces."""

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.faces = FaceList()
        self._max_faces = LabelledSlider(
            "At most",
            minimum=1,
            maximum=_MOST_FACES,
            step=1,
            show="{:.0f}".format,
            tip="The largest faces are followed",
        )
        self._smoothing = LabelledSlider("Smoothing", tip="Calmer landmarks, which follow a little later; 0 is off")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.current().metrics.gap)
        for widget in (self._max_faces, self._smoothing, self.faces):
            column.addWidget(widget)
        models, settings = services.models, services.settings
        self._max_faces.value_changed.connect(lambda count: models.choose_max_faces(round(count)))
        self._smoothing.value_changed.connect(lambda value: settings.update("tracking", smoothing=value))
        settings.changed.connect(self._on_settings)
        self._on_settings(settings.current)

    def _on_settings(self, settings: Settings) -> None:
        self._max_faces.set_value(settings.tracking.max_faces)
        self._smoothing.set_value(settings.tracking.smoothing)
