"""One face shown as large as the canvas, and the whole picture again."""

from __future__ import annotations

from collections.abc import Sequence

from gui.canvas.video_canvas import VideoCanvas
from tracker.types import TrackedFace

_ROUND_A_FACE = 0.6  # of its size: how much is seen round a face


class CloseUp:
    """Which face of a canvas the user looks at."""

    def __init__(self, canvas: VideoCanvas) -> None:
        self._canvas = canvas
        self._face_id: int | None = None

    def toggle(self, face_id: int, faces: Sequence[TrackedFace]) -> None:
        """Looks closer at a face of the picture; at the whole picture if it is looked at already, or is not there."""
        face = next((face for face in faces if face.face_id == face_id), None)
        is_looked_at = face_id == self._face_id and self._canvas.zoom > 1  # the canvas has its own way back
        if is_looked_at or face is None:
            self._face_id = None
            self._canvas.reset_zoom()
            return
        self._face_id = face_id
        dx, dy = _ROUND_A_FACE * face.box.width, _ROUND_A_FACE * face.box.height
        left, top, right, bottom = map(float, face.box.xyxy)
        self._canvas.show_part(left - dx, top - dy, right + dx, bottom + dy)
