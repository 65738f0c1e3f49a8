"""What the window paints itself against pictures of how it should look: on the canvas, and controls without text.

Text is left out: its shapes are those of the system's font.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from goldens import Goldens, differs
from PyQt6.QtCore import QPointF
from PyQt6.QtWidgets import QApplication, QCheckBox, QGridLayout, QWidget
from screen import painted

from gui.canvas.video_canvas import VideoCanvas
from gui.look.stylesheet import style_sheet
from gui.look.theme import THEMES, ThemeName, apply_theme
from gui.widgets import Button, ColourScale, IconButton, Slider
from tracker.overlays.heatmap import HEAT_COLOURS
from tracker.types import ImageArray

SIZE = (320, 200)  # px


def make_canvas(zoom: float = 1.0) -> QWidget:
    """A wide picture of rings, whole between two strips of ground, or a part of it seen closer."""
    canvas = VideoCanvas()
    canvas.resize(*SIZE)
    y, x = np.mgrid[:180, :640]
    rings = 128 + 100 * np.cos(np.hypot(x - 400, y - 60) / 6)
    canvas.show_image(np.stack([rings, 255 - rings, x * 255 / 640], axis=2).astype(np.uint8))
    if zoom > 1:
        canvas.zoom_by(zoom, QPointF(200, 80))
    return canvas


def make_controls() -> QWidget:
    """Controls as they are, switched on, and out of use."""
    panel = QWidget()
    panel.setProperty("ground", "panel")
    panel.setFixedSize(*SIZE)
    grid = QGridLayout(panel)
    for column, enabled in enumerate((True, False)):
        slider, ticked, bare = Slider(), QCheckBox(), QCheckBox()
        slider.setRange(0, 10)
        slider.setValue(6)
        ticked.setChecked(True)
        made = (slider, ticked, bare, IconButton("snapshot", ""), Button("", icon_name="play", kind="primary"))
        for row, widget in enumerate(made):
            widget.setEnabled(enabled)
            grid.addWidget(widget, row, column)
    grid.addWidget(ColourScale(HEAT_COLOURS, "", ""), len(made), 0, 1, 2)
    return panel


# Name of the image -> theme and what is shown.
PICTURES: dict[str, tuple[ThemeName, Callable[[], QWidget]]] = {
    "canvas_dark": ("dark", make_canvas),
    "canvas_light": ("light", make_canvas),
    "canvas_closer": ("dark", partial(make_canvas, 4.0)),
    "controls_dark": ("dark", make_controls),
    "controls_light": ("light", make_controls),
}


def draw(app: QApplication, name: str) -> ImageArray:
    """(H, W, 3) RGB as it is shown on a screen of 100 %."""
    theme, make = PICTURES[name]
    apply_theme(app, theme)
    widget = make()
    widget.setStyleSheet(style_sheet(THEMES[theme]))
    drawn = painted(widget)
    widget.deleteLater()
    return drawn


@pytest.mark.parametrize("name", PICTURES)
def test_looks_as_its_golden(qapp: QApplication, goldens: Goldens, name: str) -> None:
    drawn = draw(qapp, name)
    if drawn.shape[1] != SIZE[0]:
        pytest.skip("the screen is not at 100 %")
    goldens.check(name, drawn)


def test_another_look_is_told_apart(qapp: QApplication, goldens: Goldens) -> None:
    assert differs(draw(qapp, "controls_light"), goldens.read("controls_dark"))
    canvas = goldens.read("canvas_dark")
    assert differs(np.roll(canvas, 2, axis=1).astype(np.uint8), canvas)
