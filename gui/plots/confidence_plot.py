"""Confidence of every face over time: what the rolling plot and the timeline have in common."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QLineF, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QFontMetricsF, QLinearGradient, QPainter, QPaintEvent, QPen, QPixmap
from PyQt6.QtWidgets import QSizePolicy, QWidget

from gui.look import theme
from gui.plots.plot_lines import line_segments
from gui.plots.time_text import nice_step
from tracker.overlays.drawing import face_colour

_LEAST_TICK_PX = 90.0  # between labels of the time axis
_SCALE_WIDTH = 5.0  # px of the colour scale at the left edge


class ConfidencePlot(QWidget):
    """One line a face, in the face's own colour; the strip at the left is the scale of the confidence colours.

    A subclass fills ``_samples`` and ``_range_s``, calls ``_redraw`` when they have changed, and labels the time axis.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        # Face id -> times [s] and confidences 0..1.
        self._samples: dict[int, tuple[NDArray[np.floating], NDArray[np.floating]]] = {}
        self._range_s = (0.0, 0.0)  # at the left and the right end
        self._hint = ""
        self._curves: QPixmap | None = None  # None: to be painted again
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Confidence over time")
        theme.changes().changed.connect(self._redraw)

    def sizeHint(self) -> QSize:
        return QSize(400, 84)

    def minimumSizeHint(self) -> QSize:
        return QSize(120, 56)

    def set_hint(self, text: str) -> None:
        """What is written where there are no lines: how to get some."""
        if text != self._hint:
            self._hint = text
            self._redraw()

    # Where things lie.

    def _plot_rect(self) -> QRectF:
        labels = QFontMetricsF(self.font())
        left = labels.horizontalAdvance("0.0") + _SCALE_WIDTH + 10
        height = self.height() - labels.height() - 6
        return QRectF(left, 5, max(self.width() - left - 10, 1.0), max(height, 1.0))

    def _x(self, time_s: float) -> float:
        start, end = self._range_s
        rect = self._plot_rect()
        return rect.left() + rect.width() * (time_s - start) / max(end - start, 1e-9)

    def _redraw(self) -> None:
        self._curves = None
        self.update()

    # What a subclass knows.

    def _ticks(self, step_s: float) -> Iterator[tuple[float, str]]:
        """Labels of the time axis: where, and what they say, ``step_s`` seconds apart."""
        raise NotImplementedError

    def _paint_above(self, painter: QPainter, rect: QRectF) -> None:
        """What moves above the lines, which are not painted again for it."""

    # Painting.

    def paintEvent(self, event: QPaintEvent | None) -> None:
        rect = self._plot_rect()
        size = self.size() * self.devicePixelRatioF()
        if self._curves is None or self._curves.size() != size:
            self._curves = self._paint_curves(rect)
        painter = QPainter(self)
        painter.drawPixmap(0, 0, self._curves)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_above(painter, rect)
        if self.hasFocus():
            painter.setPen(QPen(theme.current().colour("focus"), 1.5))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 3, 3)

    def _paint_curves(self, rect: QRectF) -> QPixmap:
        """All but what moves with the cursor and the pointer."""
        ratio = self.devicePixelRatioF()
        pixmap = QPixmap(self.size() * ratio)
        pixmap.setDevicePixelRatio(ratio)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        painter.setFont(self.font())
        painter.fillRect(rect, theme.current().colour("canvas"))
        self._paint_scale(painter, rect)
        self._paint_times(painter, rect)
        if self._hint and not self._samples:
            centred = Qt.AlignmentFlag.AlignCenter
            painter.fillRect(painter.boundingRect(rect, centred, self._hint), theme.current().colour("canvas"))
            painter.setPen(theme.current().colour("dim"))
            painter.drawText(rect, centred, self._hint)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setClipRect(rect)
        for face_id, (times, values) in sorted(self._samples.items()):
            painter.setPen(QPen(_line_colour(face_id), 1.5))
            if segments := line_segments(times, values, self._range_s, rect):
                painter.drawLines(*segments)
        painter.end()
        return pixmap

    def _paint_scale(self, painter: QPainter, rect: QRectF) -> None:
        """Levels, and the colours that the overlay gives to the confidences."""
        gradient = QLinearGradient(rect.bottomLeft(), rect.topLeft())
        for i in range(0, 257, 32):
            gradient.setColorAt(i / 256, theme.confidence_colour(i / 256))
        painter.fillRect(QRectF(rect.left() - _SCALE_WIDTH - 2, rect.top(), _SCALE_WIDTH, rect.height()), gradient)
        metrics = QFontMetricsF(self.font())
        for level in (0.0, 0.5, 1.0):
            y = rect.bottom() - level * rect.height()
            painter.setPen(QPen(theme.current().colour("line"), 1))
            painter.drawLine(QLineF(rect.left(), y, rect.right(), y))
            painter.setPen(theme.current().colour("dim"))
            right = rect.left() - _SCALE_WIDTH - 5
            top = min(max(y - metrics.height() / 2, 0.0), rect.bottom() - metrics.height() + 4)
            text_rect = QRectF(0, top, right, metrics.height())
            painter.drawText(text_rect, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, f"{level:.1f}")

    def _paint_times(self, painter: QPainter, rect: QRectF) -> None:
        start, end = self._range_s
        if end <= start:
            return
        for time_s, text in self._ticks(nice_step((end - start) * _LEAST_TICK_PX / rect.width())):
            x = self._x(time_s)
            painter.setPen(QPen(theme.current().colour("line"), 1))
            painter.drawLine(QLineF(x, rect.top(), x, rect.bottom() + 3))
            width = painter.fontMetrics().horizontalAdvance(text) + 2.0
            left = min(max(x - width / 2, 0.0), self.width() - width)
            painter.setPen(theme.current().colour("dim"))
            text_rect = QRectF(left, rect.bottom() + 3, width, self.height() - rect.bottom() - 3)
            painter.drawText(text_rect, Qt.AlignmentFlag.AlignCenter, text)


def _line_colour(face_id: int) -> QColor:
    """The face's colour in the overlays, darkened on a light ground."""
    colour = QColor(*face_colour(face_id))
    return colour.darker(150) if theme.current().name == "light" else colour
