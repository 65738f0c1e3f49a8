"""What is drawn over the picture: chips and sliders, the same ones in every workspace."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal

from PyQt6.QtCore import QObject
from PyQt6.QtWidgets import QGridLayout, QWidget

from gui.look import theme
from gui.settings.settings_schema import OverlaySettings, Settings
from gui.settings.settings_store import SettingsStore
from gui.widgets import Chip, Choice, ColourScale, LabelledSlider, OpacityChip, SidePanel
from gui.workspace import Shortcut
from models.landmark_schemes import LandmarkScheme
from tracker.overlays import RECONSTRUCTIONS
from tracker.overlays.heatmap import HEAT_COLOURS
from tracker.overlays.reconstruction import ERROR_COLOURS, FULL_ERROR

_CHIPS = {
    "points": ("Points", "Every landmark as a white dot (1)"),
    "contours": ("Lines", "Lines through the landmarks, in the face's colour (2)"),
    "ids": ("Ids", "Id and confidence of every face (3)"),
    "box": ("Box", "Box, id and confidence of every face (4)"),
    "confidence": ("Confidence", "Every landmark in the colour of its confidence (5)"),
}
_CHIP_PLACES = ((0, 0, 2), (0, 2, 2), (0, 4, 2), (1, 0, 3), (1, 3, 3))  # row, column, columns wide
_RECONSTRUCTION_PLACES = {
    "reconstruction": "Inset",
    "reconstruction_in_place": "In place",
    "reconstruction_beside": "Side by side",
}
_HEATMAP_TIP = "Where the network sees landmarks (H). A click on a landmark shows its own alone."
_LANDMARK_TIP = "Landmark whose heatmap is shown"
_RECONSTRUCTION_TIP = "What the network makes of each face (R)"
_PLACE_TIP = "Where reconstructions are shown"
_STRENGTH_TIP = "How strongly a reconstruction covers the face (in place)"
_ERROR_TIP = "Where the reconstruction differs from the face (E)"
_HEAT_SCALE_TIP = "Colours of the heatmap: how likely the landmark lies there"
_ERROR_SCALE_TIP = "Colours of the error map: mean difference of red, green and blue, which go from 0 to 255"
_ALL = -1


class OverlayPanel(QObject):
    """The overlay sections of a side panel. What the user changes goes into the settings, and comes back from them.

    Heatmaps and reconstructions need the network: ``allow`` says whether it can give them.
    """

    def __init__(self, settings: SettingsStore, section: Literal["live", "video"], panel: SidePanel) -> None:
        """
        Args:
            section: of the settings, an ``OverlaySettings``.
            panel: gets the sections, and owns this.
        """
        super().__init__(panel)
        self._settings, self._section = settings, section
        self._no_heatmaps = self._no_reconstructions = ""
        self._last_place = next(iter(_RECONSTRUCTION_PLACES))
        self._chips = {name: Chip(text, tip=tip) for name, (text, tip) in _CHIPS.items()}
        self._opacity = LabelledSlider("Opacity", tip="Of points, lines, boxes and ids")
        self._heatmap = OpacityChip("Heatmap", tip=_HEATMAP_TIP)
        self._landmark = Choice(_LANDMARK_TIP, characters=16)
        self._reconstruction = Chip("Reconstruction", tip=_RECONSTRUCTION_TIP)
        self._place = Choice(_PLACE_TIP, characters=10)
        self._place.set_choices(_RECONSTRUCTION_PLACES, self._last_place)
        self._strength = LabelledSlider("Blend", tip=_STRENGTH_TIP)
        self._error_map = Chip("Error map", tip=_ERROR_TIP)
        self._heat_scale = ColourScale(HEAT_COLOURS, "unlikely", "likely", tip=_HEAT_SCALE_TIP)
        self._error_scale = ColourScale(ERROR_COLOURS, "0", f"{FULL_ERROR:.0f} or more", tip=_ERROR_SCALE_TIP)
        self._connect()
        panel.add_section("Overlays", self._chip_grid(), self._opacity, self._heatmap, self._landmark, self._heat_scale)
        panel.add_section("Reconstruction", self._reconstruction_grid(), self._error_scale)
        settings.changed.connect(self._show)
        self.allow(None, "No model is loaded yet.", "No model is loaded yet.")

    def allow(self, scheme: LandmarkScheme | None, no_heatmaps: str, no_reconstructions: str) -> None:
        """What can be shown.

        Args:
            scheme: the landmarks; None: not known yet.
            no_heatmaps: why there can be no heatmaps; empty: there can.
            no_reconstructions: the same for reconstructions.
        """
        names = scheme.point_names if scheme is not None else ()
        choices = {str(_ALL): "Heatmap of all landmarks", **{str(i): f"{i}  {name}" for i, name in enumerate(names)}}
        self._landmark.set_choices(choices, str(self._view.heatmap_landmark))
        self._no_heatmaps, self._no_reconstructions = no_heatmaps, no_reconstructions
        for widget, tip, reason in (
            (self._heatmap, _HEATMAP_TIP, no_heatmaps),
            (self._landmark, _LANDMARK_TIP, no_heatmaps),
            (self._reconstruction, _RECONSTRUCTION_TIP, no_reconstructions),
            (self._place, _PLACE_TIP, no_reconstructions),
            (self._strength, _STRENGTH_TIP, no_reconstructions),
            (self._error_map, _ERROR_TIP, no_reconstructions),
        ):
            widget.setToolTip(reason or tip)
        self._show(self._settings.current)

    def shortcuts(self) -> Sequence[Shortcut]:
        """A key for every chip."""
        keys = [
            Shortcut(str(number), f"{text} on or off", partial(self.toggle, name))
            for number, (name, (text, _)) in enumerate(_CHIPS.items(), start=1)
        ]
        return (
            *keys,
            Shortcut("H", "Heatmap on or off", self.toggle_heatmap),
            Shortcut("R", "Reconstruction on or off", self.toggle_reconstruction),
            Shortcut("E", "Error map on or off", self.toggle_error_map),
        )

    def toggle(self, name: str) -> None:
        """Switches an overlay on or off."""
        shown = self._view.overlays
        self._update(overlays=tuple(n for n in shown if n != name) if name in shown else (*shown, name))

    def toggle_heatmap(self) -> None:
        if not self._no_heatmaps:
            self.toggle("heatmap")

    def toggle_reconstruction(self) -> None:
        """Switches the reconstruction on where it was last, or off."""
        if not self._no_reconstructions:
            self._show_at("" if self._shown_place else self._last_place)

    def toggle_error_map(self) -> None:
        if not self._no_reconstructions:
            self._update(error_map=not self._view.error_map)

    def choose_landmark(self, index: int) -> None:
        """Shows the heatmap of one landmark; of the one that is shown already: of all again."""
        if not self._no_heatmaps:
            view = self._view
            chosen = _ALL if index == view.heatmap_landmark and "heatmap" in view.overlays else index
            self._update(heatmap_landmark=chosen, overlays=tuple(dict.fromkeys((*view.overlays, "heatmap"))))

    @property
    def _view(self) -> OverlaySettings:
        settings = self._settings.current
        return settings.live if self._section == "live" else settings.video

    @property
    def _shown_place(self) -> str:
        return next((name for name in self._view.overlays if name in RECONSTRUCTIONS), "")

    def _show_at(self, place: str) -> None:
        others = tuple(name for name in self._view.overlays if name not in RECONSTRUCTIONS)
        self._update(overlays=(*others, place) if place else others)

    def _update(self, **changes: object) -> None:
        self._settings.update(self._section, **changes)

    def _connect(self) -> None:
        for name, chip in self._chips.items():
            chip.clicked.connect(lambda _on, name=name: self.toggle(name))
        self._opacity.value_changed.connect(lambda value: self._update(overlay_opacity=value))
        self._heatmap.chip.clicked.connect(lambda _on: self.toggle_heatmap())
        self._heatmap.opacity_changed.connect(lambda value: self._update(heatmap_opacity=value))
        self._landmark.chosen.connect(lambda index: self._update(heatmap_landmark=int(index)))
        self._reconstruction.clicked.connect(lambda _on: self.toggle_reconstruction())
        self._place.chosen.connect(self._show_at)
        self._strength.value_changed.connect(lambda value: self._update(reconstruction_opacity=value))
        self._error_map.clicked.connect(lambda _on: self.toggle_error_map())

    def _show(self, _settings: Settings) -> None:
        view, place = self._view, self._shown_place
        self._last_place = place or self._last_place
        for name, chip in self._chips.items():
            chip.setChecked(name in view.overlays)
        self._opacity.set_value(view.overlay_opacity)
        heatmap = not self._no_heatmaps and "heatmap" in view.overlays
        self._heatmap.setEnabled(not self._no_heatmaps)
        self._heatmap.set_on(heatmap)
        self._heatmap.set_opacity(view.heatmap_opacity)
        self._landmark.set_value(str(view.heatmap_landmark))
        self._landmark.setEnabled(heatmap)
        self._heat_scale.setVisible(heatmap)
        can = not self._no_reconstructions
        self._reconstruction.setEnabled(can)
        self._reconstruction.setChecked(can and bool(place))
        self._place.set_value(self._last_place)
        self._place.setEnabled(can and bool(place))
        self._strength.set_value(view.reconstruction_opacity)
        self._strength.setEnabled(can and place == "reconstruction_in_place")
        self._error_map.setEnabled(can and bool(place))
        self._error_map.setChecked(can and view.error_map)
        self._error_scale.setVisible(can and bool(place) and view.error_map)

    def _chip_grid(self) -> QWidget:
        holder, grid = _bare_grid()
        for chip, (row, column, width) in zip(self._chips.values(), _CHIP_PLACES, strict=True):
            grid.addWidget(chip, row, column, 1, width)
        return holder

    def _reconstruction_grid(self) -> QWidget:
        holder, grid = _bare_grid()
        grid.addWidget(self._reconstruction, 0, 0)
        grid.addWidget(self._place, 0, 1)
        grid.addWidget(self._error_map, 1, 0)
        grid.addWidget(self._strength, 1, 1)
        grid.setColumnStretch(1, 1)
        return holder


def _bare_grid() -> tuple[QWidget, QGridLayout]:
    holder = QWidget()
    grid = QGridLayout(holder)
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setSpacing(theme.current().metrics.gap)
    return holder, grid
