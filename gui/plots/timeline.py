"""The confidence over a whole recording, as a time bar: with a cursor, marks, and a way to another time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QEvent, QLineF, QPointF, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QFontMetricsF, QKeyEvent, QMouseEvent, QPainter, QPen, QPolygonF
from PyQt6.QtWidgets import QApplication, QWidget

from gui.look import theme
from gui.plots.confidence_plot import ConfidencePlot
from gui.plots.time_text import clock_text

Series = Mapping[int, tuple[NDArray[np.floating], NDArray[np.floating]]]  # face id -> times [s] and confidences 0..1

_MARK_PX = 4.0  # half the width of a mark


class Timeline(ConfidencePlot):
    """A click, a drag or an arrow key asks for another time, a click on a mark for its very moment."""

    seek_requested = pyqtSignal(float)  # s

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._cursor_s: float | None = None
        self._hover_s: float | None = None
        self._pressed_x = -math.inf  # where a click began, which may become a drag
        self._marks: tuple[float, ...] = ()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAccessibleDescription("Click for another time; the arrow keys move by a second.")

    # What it shows.

    def set_series(self, series: Series, *, start_s: float, end_s: float) -> None:
        """The lines, and the times at its left and right ends. Without lines it is a plain time bar."""
        self._samples = {face_id: samples for face_id, samples in series.items() if len(samples[0])}
        self._range_s = (start_s, end_s)
        self._redraw()

    def set_marks(self, times_s: Sequence[float]) -> None:
        """Moments worth a look, as small triangles."""
        self._marks = tuple(times_s)
        self.update()

    def set_cursor(self, time_s: float | None) -> None:
        """The time that is shown now."""
        if time_s != self._cursor_s:
            self._cursor_s = time_s
            self.update()

    def clear(self) -> None:
        """Forgets everything that is shown."""
        self._samples, self._marks, self._cursor_s, self._hover_s = {}, (), None, None
        self._range_s = (0.0, 0.0)
        self._redraw()

    # Painting.

    def _ticks(self, step_s: float) -> Iterator[tuple[float, str]]:
        start, end = self._range_s
        for k in range(int((end - start) / step_s) + 1):
            time_s = start + k * step_s
            yield time_s, clock_text(time_s, step_s)

    def _paint_above(self, painter: QPainter, rect: QRectF) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.current().colour("warning"))
        for time_s in self._marks:
            x, y = self._x(time_s), rect.bottom()
            painter.drawPolygon(QPolygonF([QPointF(x - _MARK_PX, y), QPointF(x + _MARK_PX, y), QPointF(x, y - 7)]))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        self._paint_cursor(painter, rect)

    def _paint_cursor(self, painter: QPainter, rect: QRectF) -> None:
        if self._hover_s is not None:
            x = self._x(self._hover_s)
            painter.setPen(QPen(theme.current().colour("dim"), 1, Qt.PenStyle.DashLine))
            painter.drawLine(QLineF(x, rect.top(), x, rect.bottom()))
            self._paint_tag(painter, rect, x, clock_text(self._hover_s, 0.01))
        if self._cursor_s is not None:
            x = self._x(self._cursor_s)
            painter.setPen(QPen(theme.current().colour("accent"), 2))
            painter.drawLine(QLineF(x, rect.top() - 3, x, rect.bottom() + 3))

    def _paint_tag(self, painter: QPainter, rect: QRectF, x: float, text: str) -> None:
        metrics = QFontMetricsF(self.font())
        width, height = metrics.horizontalAdvance(text) + 10, metrics.height() + 2
        tag = QRectF(min(max(x + 6, rect.left()), rect.right() - width), rect.top() + 2, width, height)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.current().colour("raised"))
        painter.drawRoundedRect(tag, 3, 3)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(theme.current().colour("text"))
        painter.drawText(tag, Qt.AlignmentFlag.AlignCenter, text)

    # Asking for another time.

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self._pressed_x = event.position().x()
            self.seek_requested.emit(self._moment_at(self._pressed_x))

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        if event is None:
            return
        x = event.position().x()
        self._hover_s = self._time_at(x)
        self.update()
        if event.buttons() & Qt.MouseButton.LeftButton and abs(x - self._pressed_x) >= QApplication.startDragDistance():
            self._pressed_x = -math.inf  # from now on it is a drag, wherever it goes
            self.seek_requested.emit(self._hover_s)

    def leaveEvent(self, event: QEvent | None) -> None:
        self._hover_s = None
        self.update()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        steps = {Qt.Key.Key_Left: -1.0, Qt.Key.Key_Right: 1.0, Qt.Key.Key_PageUp: -10.0, Qt.Key.Key_PageDown: 10.0}
        start, end = self._range_s
        if event is None or self._cursor_s is None:
            super().keyPressEvent(event)
        elif event.key() in steps:
            self.seek_requested.emit(min(max(self._cursor_s + steps[Qt.Key(event.key())], start), end))
        elif event.key() in (Qt.Key.Key_Home, Qt.Key.Key_End):
            self.seek_requested.emit(start if event.key() == Qt.Key.Key_Home else end)
        else:
            super().keyPressEvent(event)

    def _time_at(self, x: float) -> float:
        start, end = self._range_s
        rect = self._plot_rect()
        return start + (end - start) * min(max((x - rect.left()) / rect.width(), 0.0), 1.0)

    def _moment_at(self, x: float) -> float:
        """The time there, that of a mark where one is painted: a pixel may be hundreds of frames."""
        nearest = min(self._marks, key=lambda time_s: abs(self._x(time_s) - x), default=None)
        return nearest if nearest is not None and abs(self._x(nearest) - x) <= _MARK_PX else self._time_at(x)
