"""The line icons in ``gui/look/icons``, in the colours of the theme; and the application's own icon."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from PyQt6.QtCore import QByteArray, QRect, QRectF, QSize, Qt
from PyQt6.QtGui import QIcon, QIconEngine, QPainter, QPixmap
from PyQt6.QtSvg import QSvgRenderer

from gui.look import theme

_FOLDER = Path(__file__).with_name("icons")


def icon(name: str, colour: str = "text") -> QIcon:
    """A file of ``gui/look/icons`` in a colour of the current theme; ask again when the theme changes.

    Args:
        name: the file's stem.
        colour: a field of ``theme.Colours``, or "#rrggbb".
    """
    colours = theme.current().colours
    shown = colour if colour.startswith("#") else getattr(colours, colour)
    return QIcon(_LineIcon(name, shown, colours.disabled))


def application_icon() -> QIcon:
    """The icon of the window and the task bar."""
    made = QIcon()
    for size in (16, 24, 32, 48, 64, 128, 256):
        made.addPixmap(_pixmap("fewmark", "#000000", size))
    return made


class _LineIcon(QIconEngine):
    """Draws a file when it is seen, at the size at which it is seen: most sizes and states never are."""

    def __init__(self, name: str, colour: str, disabled: str) -> None:
        super().__init__()
        self._name, self._colour, self._disabled = name, colour, disabled

    def clone(self) -> QIconEngine:
        return _LineIcon(self._name, self._colour, self._disabled)

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        colour = self._disabled if mode == QIcon.Mode.Disabled else self._colour
        return _pixmap(self._name, colour, min(size.width(), size.height()))

    def paint(self, painter: QPainter | None, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        if painter is not None:
            device = painter.device()
            ratio = 1.0 if device is None else device.devicePixelRatioF()
            painter.drawPixmap(rect, self.pixmap(rect.size() * ratio, mode, state))


@lru_cache(maxsize=512)
def _pixmap(name: str, colour: str, size: int) -> QPixmap:
    source = (_FOLDER / f"{name}.svg").read_text(encoding="utf-8").replace("currentColor", colour)
    pixmap = QPixmap(size, size)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    QSvgRenderer(QByteArray(source.encode())).render(painter, QRectF(0, 0, size, size))
    painter.end()
    return pixmap
