"""Makes the golden images of what the window paints itself: pictures on the canvas, and controls without text.

python tests/gui/widgets/golden/make_widget_goldens.py            # names the images that differ
python tests/gui/widgets/golden/make_widget_goldens.py --update   # writes the PNGs anew; look at them

Text is left out: its shapes are those of the system's font.
"""

from __future__ import annotations

import os

os.environ["QT_QPA_PLATFORM"] = "offscreen"  # before Qt is imported

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PyQt6.QtCore import QPointF
from PyQt6.QtGui import QImage
from PyQt6.QtWidgets import QApplication, QCheckBox, QGridLayout, QWidget

from gui.canvas.video_canvas import VideoCanvas
from gui.look.stylesheet import style_sheet
from gui.look.theme import THEMES, ThemeName, apply_theme
from gui.widgets import Button, ColourScale, IconButton, Slider
from tracker.overlays.heatmap import HEAT_COLOURS
from tracker.types import ImageArray

FOLDER = Path(__file__).parent
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
    image = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    memory = image.constBits()
    assert memory is not None
    rows = np.frombuffer(memory.asstring(image.sizeInBytes()), np.uint8).reshape(image.height(), -1)
    widget.deleteLater()
    return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3)


def golden_path(name: str) -> Path:
    return FOLDER / f"{name}.png"


def read_golden(name: str) -> ImageArray:
    image = cv2.imread(str(golden_path(name)))
    assert image is not None, f"{golden_path(name)} is missing; run {Path(__file__).name} --update"
    return image[:, :, ::-1].astype(np.uint8)


def differs(drawn: ImageArray, golden: ImageArray) -> bool:
    """More than edges that another version of Qt smooths otherwise."""
    if drawn.shape != golden.shape:
        return True
    difference = np.abs(drawn.astype(int) - golden).max(axis=2)
    return bool(difference.mean() > 1.5 or (difference > 40).mean() > 0.01)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", help="write the PNGs anew")
    update = parser.parse_args().update
    app = QApplication(["fewmark"])
    for name in PICTURES:
        drawn = draw(app, name)
        if update:
            cv2.imwrite(str(golden_path(name)), drawn[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
        elif differs(drawn, read_golden(name)):
            print(f"{name} differs")


if __name__ == "__main__":
    main()
