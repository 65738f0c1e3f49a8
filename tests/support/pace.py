"""How fast this machine is at this moment, so that limits on the GUI thread's work hold on any machine."""

import statistics
import time

import numpy as np
from PyQt6.QtCore import QPoint, QRect
from PyQt6.QtGui import QColor, QImage, QPainter

_USUAL_MS = 12.0  # of ``_work`` where the limits of the tests were set, with nothing else running
_TIMES = 9


def slowness() -> float:
    """How many times as long as usual this thread needs for a fixed piece of work; at least 1.

    Counts the thread's own time, which memory and caches shared with other programs lengthen as they lengthen what is
    measured beside it.
    """
    spent_ms = []
    for _ in range(_TIMES):
        before = time.thread_time()
        _work()
        spent_ms.append(1000 * (time.thread_time() - before))
    return max(1.0, statistics.median(spent_ms) / _USUAL_MS)


def _work() -> None:
    """What a window does: bytes copied, an image scaled, shapes drawn, and Python around it."""
    pixels = np.full((1080, 1920, 3), 90, np.uint8)
    picture = QImage(pixels.tobytes(), 1920, 1080, 3 * 1920, QImage.Format.Format_BGR888)
    target = QImage(1280, 720, QImage.Format.Format_RGB32)
    painter = QPainter(target)
    painter.drawImage(QRect(0, 0, 1280, 720), picture)
    for i in range(300):
        painter.setPen(QColor(i % 256, 0, 0))
        painter.drawEllipse(QPoint(4 * i, 2 * i), 3, 3)
    painter.end()
