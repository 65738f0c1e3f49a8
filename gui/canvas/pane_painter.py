"""Pictures onto a canvas: only what is visible of them, in the screen's own pixels, and scaled once."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np
from PyQt6.QtCore import QPointF, QRectF, QSizeF, Qt
from PyQt6.QtGui import QColor, QImage, QPainter, QPen

from gui.canvas.canvas_view import CanvasView
from gui.canvas.qt_images import qimage_over
from gui.look import theme
from tracker.types import ImageArray

_SEE_PIXELS = 6.0  # screen pixels an image pixel from which on they are shown as squares


class PanePainter:
    """Paints the panes of an image side by side, and keeps what it has scaled until ``forget``."""

    def __init__(self) -> None:
        self._scaled: list[tuple[QImage, QPointF, ImageArray]] = []  # what is painted, where, and its memory

    def forget(self) -> None:
        """Call it when the image, or how it lies in the canvas, has changed."""
        self._scaled = []

    def paint(self, painter: QPainter, image: ImageArray, panes: int, view: CanvasView, ratio: float) -> None:
        """
        Args:
            image: (H, W, 3) RGB.
            view: of one pane.
            ratio: screen pixels a device-independent pixel.
        """
        if not self._scaled:
            self._scaled = [_scale_visible(pane, view, ratio) for pane in np.hsplit(image, panes)]
        width, height = view.widget_size
        for i, (picture, corner, _) in enumerate(self._scaled):
            painter.setClipRect(QRectF(i * width, 0, width, height))
            painter.drawImage(corner + QPointF(round(i * width * ratio) / ratio, 0), picture)
        painter.setClipping(False)
        painter.setPen(QPen(theme.current().colour("canvas"), 2))
        for i in range(1, panes):
            painter.drawLine(QPointF(i * width, 0), QPointF(i * width, height))


def paint_zoom(painter: QPainter, zoom: float, size: QSizeF) -> None:
    """How many times closer it is, in the lower right corner of a canvas of this size."""
    text = f"{zoom:.1f}x"
    metrics = painter.fontMetrics()
    width, height = metrics.horizontalAdvance(text) + 16, metrics.height() + 6
    tag = QRectF(size.width() - width - 10, size.height() - height - 10, width, height)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(0, 0, 0, 150))
    painter.drawRoundedRect(tag, 4, 4)
    painter.setPen(QColor(255, 255, 255))
    painter.drawText(tag, Qt.AlignmentFlag.AlignCenter, text)


def _scale_visible(pane: ImageArray, view: CanvasView, ratio: float) -> tuple[QImage, QPointF, ImageArray]:
    """The visible part in the screen's own pixels, so that Qt has nothing left to scale: OpenCV is faster."""
    left, top, right, bottom = view.visible_part()
    part = pane[top:bottom, left:right]
    scale = view.scale * ratio
    size = max(round((right - left) * scale), 1), max(round((bottom - top) * scale), 1)
    how = cv2.INTER_AREA if scale < 0.6 else cv2.INTER_LINEAR if scale < _SEE_PIXELS else cv2.INTER_NEAREST
    pixels = np.ascontiguousarray(part) if size == part.shape[1::-1] else cv2.resize(part, size, interpolation=how)
    memory = cast(ImageArray, pixels)
    picture = qimage_over(memory)
    picture.setDevicePixelRatio(ratio)
    x, y = view.origin
    # On whole screen pixels, or Qt would interpolate after all.
    corner = QPointF(round(x * ratio + left * scale) / ratio, round(y * ratio + top * scale) / ratio)
    return picture, corner, memory
