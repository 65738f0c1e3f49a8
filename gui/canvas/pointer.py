"""What the pointer does on a video: it names landmarks, and chooses one."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtGui import QCursor
from PyQt6.QtWidgets import QToolTip

from gui.canvas.video_canvas import VideoCanvas
from models.landmark_schemes import LandmarkScheme
from tracker.overlays import PickedLandmark, pick_landmark
from tracker.types import TrackingResult

_REACH_PX = 12.0  # how far from a landmark the pointer may at least be, image pixels


class Pointer(QObject):
    """Follows the pointer on a canvas that shows faces."""

    landmark_chosen = pyqtSignal(int)  # index

    def __init__(
        self,
        canvas: VideoCanvas,
        *,
        result: Callable[[], TrackingResult | None],
        scheme: Callable[[], LandmarkScheme | None],
    ) -> None:
        """
        Args:
            result: gives that of the picture which is shown.
            scheme: gives that of its landmarks.
        """
        super().__init__(canvas)
        self._canvas, self._result, self._scheme = canvas, result, scheme
        canvas.clicked.connect(self._choose)
        canvas.hovered.connect(self._name)
        canvas.left.connect(QToolTip.hideText)

    def _pick(self, x: float, y: float) -> PickedLandmark | None:
        result = self._result()
        return None if result is None else pick_landmark(result, x, y, least_reach_px=_REACH_PX)

    def _choose(self, x: float, y: float) -> None:
        picked = self._pick(x, y)
        if picked is not None:
            self.landmark_chosen.emit(picked.index)

    def _name(self, x: float, y: float) -> None:
        picked, scheme = self._pick(x, y), self._scheme()
        if picked is None or scheme is None:
            QToolTip.hideText()
        else:
            name = scheme.point_names[picked.index]
            QToolTip.showText(QCursor.pos(), f"{picked.index}  {name}   {picked.confidence:.2f}", self._canvas)
