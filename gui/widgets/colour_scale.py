"""A legend: which colour stands for which value."""

from __future__ import annotations

from PyQt6.QtCore import QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QLinearGradient, QPainter, QPainterPath, QPaintEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from gui.look import theme
from tracker.types import ImageArray

_BAR_HEIGHT = 8.0  # px
_STOPS = 17  # of the gradient


class ColourScale(QWidget):
    """A bar of colours with what its ends stand for."""

    def __init__(
        self, colours: ImageArray, low: str, high: str, *, tip: str = "", parent: QWidget | None = None
    ) -> None:
        """
        Args:
            colours: (256, 3) RGB, from the least value to the greatest.
        """
        super().__init__(parent)
        last = len(colours) - 1
        self._stops = [(i / (_STOPS - 1), QColor(*colours[round(i * last / (_STOPS - 1))])) for i in range(_STOPS)]
        self._low, self._high = low, high
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip(tip)
        self.setAccessibleName(f"{tip}: {low} to {high}")
        theme.changes().changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(160, self.fontMetrics().height() + 2)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        look = theme.current()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        low, high = (self.fontMetrics().horizontalAdvance(text) for text in (self._low, self._high))
        gap = look.metrics.gap
        painter.setPen(look.colour("dim"))
        middle = Qt.AlignmentFlag.AlignVCenter
        painter.drawText(self.rect(), middle | Qt.AlignmentFlag.AlignLeft, self._low)
        painter.drawText(self.rect(), middle | Qt.AlignmentFlag.AlignRight, self._high)
        bar = QRectF(low + gap, (self.height() - _BAR_HEIGHT) / 2, self.width() - low - high - 2 * gap, _BAR_HEIGHT)
        if bar.width() <= 0:
            return
        gradient = QLinearGradient(bar.topLeft(), bar.topRight())
        gradient.setStops(self._stops)
        outline = QPainterPath()
        outline.addRoundedRect(bar, _BAR_HEIGHT / 2, _BAR_HEIGHT / 2)
        painter.fillPath(outline, gradient)
