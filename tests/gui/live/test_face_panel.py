"""The sliders over the list of faces: they show what is set, and set what they show."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot
from window_steps import texts_in

from gui.live.face_panel import FacePanel
from gui.services import Services
from gui.widgets import LabelledSlider


@pytest.mark.parametrize("count", [1, 20, 40])
def test_the_number_of_faces_is_the_one_that_is_set(qtbot: QtBot, services: Services, count: int) -> None:
    panel = FacePanel(services)
    qtbot.addWidget(panel)
    panel.show()
    assert str(services.settings.current.tracking.max_faces) in texts_in(panel)
    services.models.choose_max_faces(count)
    assert str(count) in texts_in(panel)


def test_a_slider_that_is_moved_changes_the_settings(qtbot: QtBot, services: Services) -> None:
    panel = FacePanel(services)
    qtbot.addWidget(panel)
    at_most, smoothing = panel.findChildren(LabelledSlider)
    at_most.value_changed.emit(7.0)
    smoothing.value_changed.emit(0.25)
    tracking = services.settings.current.tracking
    assert (tracking.max_faces, tracking.smoothing) == (7, 0.25)
