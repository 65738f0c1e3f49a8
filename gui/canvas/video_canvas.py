"""Where pictures are shown: letterboxed, zoomed and panned, and never copied at full size."""

from __future__ import annotations

import numpy as np
from PyQt6.QtCore import QEvent, QPointF, QRectF, QSize, QSizeF, Qt, pyqtSignal
from PyQt6.QtGui import (
    QFocusEvent,
    QKeyEvent,
    QMouseEvent,
    QNativeGestureEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QWheelEvent,
)
from PyQt6.QtWidgets import QApplication, QGestureEvent, QPinchGesture, QSizePolicy, QWidget

from gui.canvas.canvas_notice import CanvasNotice
from gui.canvas.canvas_view import CanvasView
from gui.canvas.pane_painter import PanePainter, paint_zoom
from gui.look import theme
from gui.services import Action
from tracker.types import ImageArray

_ZOOM_STEP = 1.25  # of a key
_WHEEL_STEP = 1.0015  # to the power of the wheel's angle, 120 a notch
_PAN_STEP = 0.1  # of the widget, of a key
_KEY_FOCUS = (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason)


class VideoCanvas(QWidget):
    """Shows images of any size, each whole in the middle until the user zooms.

    An image may hold the same scene several times, side by side: these panes are zoomed and panned together.
    The wheel, a pinch and the keys + and - zoom; a drag and the arrow keys pan; a double click or 0 shows all again.
    """

    clicked = pyqtSignal(float, float)  # image pixels, (0, 0) the centre of the top-left one
    hovered = pyqtSignal(float, float)  # image pixels
    left = pyqtSignal()  # the pointer is on no part of the image any more
    painted = pyqtSignal()  # a new image is on the screen

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._image: ImageArray | None = None
        self._is_new = False
        self._panes = 1
        self._view = CanvasView()  # of one pane
        self._painter = PanePainter()
        self._pressed: QPointF | None = None
        self._dragged_from: QPointF | None = None
        self._focus_by_key = False
        self._notice = CanvasNotice(self)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(320, 180)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAccessibleName("Video")
        self.setAccessibleDescription("Plus and minus zoom, the arrow keys move, 0 shows all.")
        self.grabGesture(Qt.GestureType.PinchGesture)
        theme.changes().changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(960, 540)

    @property
    def zoom(self) -> float:
        """1 shows the whole image."""
        return self._view.zoom

    @property
    def image(self) -> ImageArray | None:
        """What is shown."""
        return self._image

    def show_image(self, image: ImageArray, *, panes: int = 1) -> None:
        """Shows (H, W, 3) uint8 RGB. The array is kept, not copied: nobody may write to it any more.

        Args:
            panes: how many pictures of W / panes columns stand side by side in it.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
            raise ValueError(f"an image is (H, W, 3) uint8, not {image.shape} {image.dtype}")
        if image.shape[1] % panes:
            raise ValueError(f"{image.shape[1]} columns are not {panes} panes")
        size = image.shape[1] // panes, image.shape[0]
        if (size, panes) != (self._view.image_size, self._panes):
            self._view.image_size, self._panes = size, panes
            self._fit_view()
        self._image, self._is_new = image, True
        self._redraw()

    def clear(self) -> None:
        """Shows nothing."""
        self._image, self._is_new = None, False
        self.reset_zoom()

    def show_message(self, text: str, action: Action | None = None) -> None:
        """Shows a message over the image, with its next step as a button; an empty text takes it away."""
        self._notice.show_message(text, action)

    @property
    def message(self) -> str:
        """The message that is shown, or empty."""
        return self._notice.text

    def reset_zoom(self) -> None:
        """Shows the whole image."""
        self._view.reset()
        self._redraw()

    def show_part(self, left: float, top: float, right: float, bottom: float) -> None:
        """Zooms in on a rectangle of the image, in pixels of its first pane."""
        if self._image is not None:
            self._view.show_part(left, top, right, bottom)
            self._redraw()

    def zoom_by(self, factor: float, at: QPointF | None = None) -> None:
        """Zooms in (above 1) or out; what lies under ``at`` (widget pixels; default: the middle) stays there."""
        if self._image is not None:
            at = at or QPointF(self._pane_width / 2, self.height() / 2)
            self._view.zoom_by(factor, at.x() - self._pane_at(at) * self._pane_width, at.y())
            self._redraw()

    # Painting.

    def _redraw(self) -> None:
        self._painter.forget()
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.current().colour("canvas"))
        if self._image is not None:
            self._painter.paint(painter, self._image, self._panes, self._view, self.devicePixelRatioF())
            if self.zoom > 1:
                paint_zoom(painter, self.zoom, QSizeF(self.size()))
        if self._focus_by_key and self.hasFocus():  # a ring after every click would be noise
            painter.setPen(QPen(theme.current().colour("focus"), 2))
            painter.drawRect(QRectF(self.rect()).adjusted(1, 1, -1, -1))
        painter.end()
        if self._is_new:
            self._is_new = False
            self.painted.emit()

    # Input.

    def event(self, event: QEvent | None) -> bool:
        if isinstance(event, QNativeGestureEvent):  # of a touch pad
            if event.gestureType() == Qt.NativeGestureType.ZoomNativeGesture:
                self.zoom_by(1 + event.value(), event.position())
                return True
        elif isinstance(event, QGestureEvent):  # of a touch screen
            pinch = event.gesture(Qt.GestureType.PinchGesture)
            if isinstance(pinch, QPinchGesture):
                self.zoom_by(pinch.scaleFactor(), self.mapFromGlobal(pinch.centerPoint()))
                return True
        return super().event(event)

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        if event is not None:
            self.zoom_by(_WHEEL_STEP ** event.angleDelta().y(), event.position())
            event.accept()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if event is not None and event.button() in (Qt.MouseButton.LeftButton, Qt.MouseButton.MiddleButton):
            self._pressed = event.position()

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        if event is None:
            return
        at = event.position()
        if self._pressed is not None and self._dragged_from is None and self.zoom > 1:
            if (at - self._pressed).manhattanLength() < QApplication.startDragDistance():
                return
            self._dragged_from = self._pressed
            self.setCursor(Qt.CursorShape.ClosedHandCursor)
        if self._dragged_from is not None:
            moved = at - self._dragged_from
            self._dragged_from = at
            self._pan(moved.x(), moved.y())
            return
        pixel = self._pixel_at(at)
        if pixel is None:
            self.left.emit()
        else:
            self.hovered.emit(*pixel)

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        if event is None or self._pressed is None:
            return
        was_click = self._dragged_from is None and event.button() == Qt.MouseButton.LeftButton
        self._pressed = self._dragged_from = None
        self.unsetCursor()
        pixel = self._pixel_at(event.position())
        if was_click and pixel is not None:
            self.clicked.emit(*pixel)

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        self.reset_zoom()

    def leaveEvent(self, event: QEvent | None) -> None:
        self.left.emit()

    def focusInEvent(self, event: QFocusEvent | None) -> None:
        self._focus_by_key = event is not None and event.reason() in _KEY_FOCUS
        self.update()

    def focusOutEvent(self, event: QFocusEvent | None) -> None:
        self.update()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event is None:
            return
        pans = {Qt.Key.Key_Left: (1, 0), Qt.Key.Key_Right: (-1, 0), Qt.Key.Key_Up: (0, 1), Qt.Key.Key_Down: (0, -1)}
        key = event.key()
        if key in (Qt.Key.Key_Plus, Qt.Key.Key_Equal):
            self.zoom_by(_ZOOM_STEP)
        elif key == Qt.Key.Key_Minus:
            self.zoom_by(1 / _ZOOM_STEP)
        elif key == Qt.Key.Key_0 and self.zoom > 1:
            self.reset_zoom()
        elif key in pans and self.zoom > 1:
            x, y = pans[Qt.Key(key)]
            self._pan(x * self.width() * _PAN_STEP, y * self.height() * _PAN_STEP)
        else:
            super().keyPressEvent(event)  # lets the window have it

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        self._painter.forget()
        self._fit_view()
        self._notice.place()

    @property
    def _pane_width(self) -> float:
        return max(self.width(), 1) / self._panes

    def _pane_at(self, at: QPointF) -> int:
        return min(max(int(at.x() / self._pane_width), 0), self._panes - 1)

    def _fit_view(self) -> None:
        self._view.widget_size = self._pane_width, max(self.height(), 1)
        self._view.keep_inside()

    def _pixel_at(self, at: QPointF) -> tuple[float, float] | None:
        if self._image is None:
            return None
        pane = self._pane_at(at)
        pixel = self._view.pixel_at(at.x() - pane * self._pane_width, at.y())
        return None if pixel is None else (pixel[0] + pane * self._view.image_size[0], pixel[1])

    def _pan(self, dx: float, dy: float) -> None:
        self._view.pan(dx, dy)
        self._redraw()
