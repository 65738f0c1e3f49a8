"""The overlay controls that the workspaces share."""

from __future__ import annotations

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from gui.panels.overlay_panel import OverlayPanel
from gui.services import Services
from gui.widgets import ColourScale, SidePanel
from models.landmark_schemes import IBUG_68 as SCHEME
from tracker.overlays import OVERLAYS
from tracker.overlays.heatmap import HEAT_COLOURS
from tracker.overlays.reconstruction import ERROR_COLOURS
from tracker.types import ImageArray


@pytest.fixture
def side(qtbot: QtBot) -> SidePanel:
    panel = SidePanel()
    qtbot.addWidget(panel)
    panel.show()
    return panel


def _chip(side: SidePanel, text: str) -> QPushButton:
    (chip,) = (button for button in side.findChildren(QPushButton) if button.text() == text)
    return chip


def test_chips_and_settings_say_the_same(side: SidePanel, services: Services, qtbot: QtBot) -> None:
    OverlayPanel(services.settings, "live", side).allow(SCHEME, "", "")
    points = _chip(side, "Points")
    services.settings.update("live", overlays=("contours",))
    assert not points.isChecked()
    qtbot.mouseClick(points, Qt.MouseButton.LeftButton)
    assert services.settings.current.live.overlays == ("contours", "points")
    assert points.isChecked()
    services.settings.update("live", overlays=())
    assert not points.isChecked()


def test_workspaces_keep_their_own(services: Services, qtbot: QtBot) -> None:
    sides = SidePanel(), SidePanel()
    for side in sides:
        qtbot.addWidget(side)
    live = OverlayPanel(services.settings, "live", sides[0])
    video = OverlayPanel(services.settings, "video", sides[1])
    before = services.settings.current.video.overlays
    live.toggle("points")
    assert "points" in services.settings.current.live.overlays
    assert services.settings.current.video.overlays == before
    video.toggle("points")
    assert services.settings.current.video.overlays == (*before, "points")


def test_every_key_switches_an_overlay_that_there_is(side: SidePanel, services: Services) -> None:
    panel = OverlayPanel(services.settings, "live", side)
    panel.allow(SCHEME, "", "")
    for shortcut in panel.shortcuts():
        before = services.settings.current.live
        shortcut.handler()
        assert services.settings.current.live != before, shortcut.key
        assert set(services.settings.current.live.overlays) <= set(OVERLAYS), shortcut.key
        shortcut.handler()
        assert set(services.settings.current.live.overlays) == set(before.overlays), shortcut.key


def test_what_the_model_can_not_do_is_off_and_says_why(side: SidePanel, services: Services) -> None:
    services.settings.update("live", overlays=("heatmap", "reconstruction"), error_map=True)
    panel = OverlayPanel(services.settings, "live", side)
    why = "The model fine256 was not trained to reconstruct faces."
    panel.allow(SCHEME, "", why)
    for text in ("Reconstruction", "Error map"):
        chip = _chip(side, text)
        assert (chip.isEnabled(), chip.isChecked()) == (False, False)
    assert _chip(side, "Reconstruction").toolTip() == why
    assert _chip(side, "Heatmap").isChecked()
    panel.toggle_reconstruction()
    panel.toggle_error_map()
    assert services.settings.current.live.overlays == ("heatmap", "reconstruction")  # kept for a model that can
    panel.allow(SCHEME, "", "")
    assert _chip(side, "Reconstruction").isChecked()
    assert _chip(side, "Error map").isChecked()


def test_legends_stand_by_while_their_colours_are_in_the_picture(side: SidePanel, services: Services) -> None:
    services.settings.update("live", overlays=("points",), error_map=True)
    panel = OverlayPanel(services.settings, "live", side)
    panel.allow(SCHEME, "", "")
    heat, error = side.findChildren(ColourScale)
    assert (heat.isHidden(), error.isHidden()) == (True, True)
    panel.toggle_heatmap()
    assert (heat.isHidden(), error.isHidden()) == (False, True)
    panel.toggle_reconstruction()
    assert not error.isHidden()
    panel.toggle_error_map()
    assert error.isHidden()


@pytest.mark.parametrize("colours", [HEAT_COLOURS, ERROR_COLOURS], ids=["heat", "error"])
def test_a_legend_has_the_overlays_colours(qtbot: QtBot, colours: ImageArray) -> None:
    scale = ColourScale(colours, "", "")
    qtbot.addWidget(scale)
    scale.resize(272, 16)  # a bar of 256 px between two gaps of 8
    drawn = scale.grab().toImage()
    for place in (8, 64, 128, 200, 248):
        shown = drawn.pixelColor(8 + place, 8).getRgb()[:3]
        assert np.abs(np.array(shown) - colours[place].astype(int)).max() <= 6, place


def test_a_reconstruction_comes_back_where_it_was(side: SidePanel, services: Services) -> None:
    panel = OverlayPanel(services.settings, "live", side)
    panel.allow(SCHEME, "", "")
    services.settings.update("live", overlays=("points", "reconstruction_in_place"))
    panel.toggle_reconstruction()
    assert services.settings.current.live.overlays == ("points",)
    panel.toggle_reconstruction()
    assert services.settings.current.live.overlays == ("points", "reconstruction_in_place")


def test_a_landmark_that_is_chosen_twice_gives_all_again(side: SidePanel, services: Services) -> None:
    services.settings.update("live", overlays=("points",))
    panel = OverlayPanel(services.settings, "live", side)
    panel.allow(SCHEME, "no heatmaps in these results", "")
    panel.choose_landmark(30)
    assert services.settings.current.live.heatmap_landmark == -1
    panel.allow(SCHEME, "", "")
    panel.choose_landmark(30)
    live = services.settings.current.live
    assert (live.heatmap_landmark, live.overlays) == (30, ("points", "heatmap"))
    panel.choose_landmark(30)
    assert services.settings.current.live.heatmap_landmark == -1
