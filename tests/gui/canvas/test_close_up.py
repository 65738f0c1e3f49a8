"""Looking closer at one face of a picture."""

from __future__ import annotations

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, Qt
from pytestqt.qtbot import QtBot

from gui.canvas.close_up import CloseUp
from gui.canvas.video_canvas import VideoCanvas
from tracker.types import FaceBox, TrackedFace

FACE_CENTRE = (300, 200)  # in a frame of 640 x 360


@pytest.fixture
def canvas(qtbot: QtBot) -> VideoCanvas:
    made = VideoCanvas()
    qtbot.addWidget(made)
    made.resize(800, 400)
    made.show()
    qtbot.waitExposed(made)
    return made


def face(face_id: int, centre: tuple[int, int] = FACE_CENTRE, side: float = 60.0) -> TrackedFace:
    x, y = centre
    box = FaceBox(np.array([x - side / 2, y - side / 2, x + side / 2, y + side / 2], np.float32), 0.9)
    points = np.array([centre], np.float32)
    return TrackedFace(face_id, points, np.ones(1, np.float32), box, np.eye(2, 3), 128)


def frame_with_a_mark(level: int) -> np.ndarray:
    """(360, 640, 3) black, but for a grey square in the middle of the face."""
    image = np.zeros((360, 640, 3), np.uint8)
    x, y = FACE_CENTRE
    image[y - 5 : y + 6, x - 5 : x + 6] = level
    return image


def test_a_face_is_looked_at_and_then_the_whole_picture(canvas: VideoCanvas) -> None:
    close_up = CloseUp(canvas)
    canvas.show_image(frame_with_a_mark(200))
    close_up.toggle(1, [face(0, (50, 50)), face(1)])
    assert canvas.zoom > 2
    assert canvas.grab().toImage().pixelColor(400, 200).red() == 200
    close_up.toggle(1, [face(1)])
    assert canvas.zoom == 1


def test_a_face_can_be_looked_at_again_after_the_zoom_was_reset(canvas: VideoCanvas, qtbot: QtBot) -> None:
    close_up = CloseUp(canvas)
    canvas.show_image(frame_with_a_mark(200))
    close_up.toggle(1, [face(1)])
    qtbot.mouseDClick(canvas, Qt.MouseButton.LeftButton, pos=QPoint(10, 10))
    assert canvas.zoom == 1
    close_up.toggle(1, [face(1)])
    assert canvas.zoom > 2


def test_side_by_side_both_halves_show_the_face(canvas: VideoCanvas) -> None:
    canvas.show_image(np.hstack([frame_with_a_mark(200), frame_with_a_mark(100)]), panes=2)
    CloseUp(canvas).toggle(1, [face(1)])
    assert canvas.zoom > 2
    shown = canvas.grab().toImage()
    assert shown.pixelColor(200, 200).red() == 200
    assert shown.pixelColor(600, 200).red() == 100
