"""The line icons in ``gui/icons``, in the colours of the theme; and the application's own icon."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from PyQt6.QtCore import QByteArray, QRectF, Qt
from PyQt6.QtGui import QIcon, QPainter, QPixmap
from PyQt6.QtSvg import QSvgRenderer

from gui import theme

_FOLDER = Path(__file__).with_name("icons")
_SIZES = (18, 24, 36, 48, 72)  # px; Qt scales down from the next larger one


def icon(name: str, colour: str = "text") -> QIcon:
    """A file of ``gui/icons`` in a colour of the current theme; ask again when the theme changes.

    Args:
        name: the file's stem.
        colour: a field of ``theme.Colours``, or "#rrggbb".
    """
    colours = theme.current().colours
    made = QIcon()
    shown = colour if colour.startswith("#") else getattr(colours, colour)
    for size in _SIZES:
        made.addPixmap(_pixmap(name, shown, size), QIcon.Mode.Normal)
        made.addPixmap(_pixmap(name, colours.disabled, size), QIcon.Mode.Disabled)
    return made


def application_icon() -> QIcon:
    """The icon of the window and the task bar."""
    made = QIcon()
    for size in (16, 24, 32, 48, 64, 128, 256):
        made.addPixmap(_pixmap("fewmark", "#000000", size))
    return made


@lru_cache(maxsize=512)
def _pixmap(name: str, colour: str, size: int) -> QPixmap:
    source = (_FOLDER / f"{name}.svg").read_text(encoding="utf-8").replace("currentColor", colour)
    pixmap = QPixmap(size, size)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    QSvgRenderer(QByteArray(source.encode())).render(painter, QRectF(0, 0, size, size))
    painter.end()
    return pixmap
