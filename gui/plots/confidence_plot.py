"""Confidence of every face over time: a rolling plot of the last seconds, or the timeline of a whole recording."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QEvent, QLineF, QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import (
    QColor,
    QFontMetricsF,
    QKeyEvent,
    QLinearGradient,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QPolygonF,
)
from PyQt6.QtWidgets import QApplication, QSizePolicy, QWidget

from gui.look import theme
from gui.plots.plot_lines import GAP_S, line_segments
from gui.plots.time_text import clock_text, nice_step
from tracker.overlays.drawing import face_colour

Series = Mapping[int, tuple[NDArray[np.floating], NDArray[np.floating]]]  # face id -> times [s] and confidences 0..1

_LEAST_TICK_PX = 90.0  # between labels of the time axis
_ROLLING_CAPACITY = 4096  # samples of a face that are kept at most
_MARK_PX = 4.0  # half the width of a mark
_SCALE_WIDTH = 5.0  # px of the colour scale at the left edge


class ConfidencePlot(QWidget):
    """One line a face, in the face's own colour; the strip at the left is the scale of the confidence colours.

    The rolling form (``window_s`` is given) shows the last seconds of what ``append`` brings. The timeline shows what
    ``set_series`` is given, with a cursor; a click, a drag or an arrow key asks for another time, a click on a mark for
    its very moment.
    """

    seek_requested = pyqtSignal(float)  # s, within the timeline

    def __init__(self, *, window_s: float | None = None, parent: QWidget | None = None) -> None:
        """
        Args:
            window_s: how many seconds the rolling form shows; None makes a timeline.
        """
        super().__init__(parent)
        self._window_s = window_s
        self._samples: dict[int, tuple[NDArray[np.floating], NDArray[np.floating]]] = {}
        self._range_s = (0.0, window_s or 0.0)
        self._cursor_s: float | None = None
        self._hover_s: float | None = None
        self._pressed_x = -math.inf  # where a click began, which may become a drag
        self._marks: tuple[float, ...] = ()
        self._hint = ""
        self._curves: QPixmap | None = None  # None: to be painted again
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Confidence over time")
        if window_s is None:
            self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            self.setMouseTracking(True)
            self.setCursor(Qt.CursorShape.PointingHandCursor)
            self.setAccessibleDescription("Click for another time; the arrow keys move by a second.")
        theme.changes().changed.connect(self._redraw)

    def sizeHint(self) -> QSize:
        return QSize(400, 84)

    def minimumSizeHint(self) -> QSize:
        return QSize(120, 56)

    # What it shows.

    def append(self, time_s: float, confidences: Mapping[int, float]) -> None:
        """Rolling form: the mean confidence 0..1 of every face in the newest frame. Times rise."""
        window_s = self._window_s or 0.0
        if time_s < self._range_s[1] - window_s:  # another source, whose clock begins elsewhere
            self._samples.clear()
        for face_id, confidence in confidences.items():
            times, values = self._samples.get(face_id, (np.empty(0), np.empty(0)))
            first = int(np.searchsorted(times, time_s - window_s - GAP_S))
            first = max(first, len(times) - _ROLLING_CAPACITY)
            self._samples[face_id] = (np.append(times[first:], time_s), np.append(values[first:], confidence))
        self._samples = {i: s for i, s in self._samples.items() if s[0][-1] > time_s - window_s}
        self._range_s = (time_s - window_s, time_s)
        self._redraw()

    def set_window(self, seconds: float) -> None:
        """Rolling form: how many seconds are shown."""
        self._window_s = seconds
        self._range_s = (self._range_s[1] - seconds, self._range_s[1])
        self._redraw()

    def clear(self) -> None:
        """Forgets everything that is shown."""
        self._samples, self._marks, self._cursor_s, self._hover_s = {}, (), None, None
        self._range_s = (0.0, self._window_s or 0.0)
        self._redraw()

    def set_series(self, series: Series, *, start_s: float, end_s: float) -> None:
        """Timeline: the lines, and the times at its left and right ends. Without lines it is a plain time bar."""
        self._samples = {face_id: samples for face_id, samples in series.items() if len(samples[0])}
        self._range_s = (start_s, end_s)
        self._redraw()

    def set_marks(self, times_s: Sequence[float]) -> None:
        """Timeline: moments worth a look, as small triangles."""
        self._marks = tuple(times_s)
        self.update()

    def set_hint(self, text: str) -> None:
        """What is written where there are no lines: how to get some."""
        if text != self._hint:
            self._hint = text
            self._redraw()

    def set_cursor(self, time_s: float | None) -> None:
        """Timeline: the time that is shown now."""
        if time_s != self._cursor_s:
            self._cursor_s = time_s
            self.update()

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

    def _time_at(self, x: float) -> float:
        start, end = self._range_s
        rect = self._plot_rect()
        return start + (end - start) * min(max((x - rect.left()) / rect.width(), 0.0), 1.0)

    def _redraw(self) -> None:
        self._curves = None
        self.update()

    # Painting.

    def paintEvent(self, event: QPaintEvent | None) -> None:
        rect = self._plot_rect()
        size = self.size() * self.devicePixelRatioF()
        if self._curves is None or self._curves.size() != size:
            self._curves = self._paint_curves(rect)
        painter = QPainter(self)
        painter.drawPixmap(0, 0, self._curves)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_marks(painter, rect)
        self._paint_cursor(painter, rect)
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
        step = nice_step((end - start) * _LEAST_TICK_PX / rect.width())
        origin = start if self._window_s is None else end  # a rolling plot counts back from now
        for k in range(int((end - start) / step) + 1):
            time_s = origin + k * step if self._window_s is None else origin - k * step
            text = clock_text(time_s, step) if self._window_s is None else ("now" if k == 0 else f"-{k * step:g} s")
            x = self._x(time_s)
            painter.setPen(QPen(theme.current().colour("line"), 1))
            painter.drawLine(QLineF(x, rect.top(), x, rect.bottom() + 3))
            width = painter.fontMetrics().horizontalAdvance(text) + 2.0
            left = min(max(x - width / 2, 0.0), self.width() - width)
            painter.setPen(theme.current().colour("dim"))
            text_rect = QRectF(left, rect.bottom() + 3, width, self.height() - rect.bottom() - 3)
            painter.drawText(text_rect, Qt.AlignmentFlag.AlignCenter, text)

    def _paint_marks(self, painter: QPainter, rect: QRectF) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.current().colour("warning"))
        for time_s in self._marks:
            x, y = self._x(time_s), rect.bottom()
            painter.drawPolygon(QPolygonF([QPointF(x - _MARK_PX, y), QPointF(x + _MARK_PX, y), QPointF(x, y - 7)]))
        painter.setBrush(Qt.BrushStyle.NoBrush)

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
        if event is not None and self._window_s is None and event.button() == Qt.MouseButton.LeftButton:
            self._pressed_x = event.position().x()
            self.seek_requested.emit(self._moment_at(self._pressed_x))

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        if event is None or self._window_s is not None:
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
        if event is None or self._window_s is not None or self._cursor_s is None:
            super().keyPressEvent(event)
        elif event.key() in steps:
            self.seek_requested.emit(min(max(self._cursor_s + steps[Qt.Key(event.key())], start), end))
        elif event.key() in (Qt.Key.Key_Home, Qt.Key.Key_End):
            self.seek_requested.emit(start if event.key() == Qt.Key.Key_Home else end)
        else:
            super().keyPressEvent(event)

    def _moment_at(self, x: float) -> float:
        """The time there, that of a mark where one is painted: a pixel may be hundreds of frames."""
        nearest = min(self._marks, key=lambda time_s: abs(self._x(time_s) - x), default=None)
        return nearest if nearest is not None and abs(self._x(nearest) - x) <= _MARK_PX else self._time_at(x)


def _line_colour(face_id: int) -> QColor:
    """The face's colour in the overlays, darkened on a light ground."""
    colour = QColor(*face_colour(face_id))
    return colour.darker(150) if theme.current().name == "light" else colour
