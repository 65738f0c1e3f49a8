"""The canvas: where pixels lie, what the pointer and the keys do, and that nothing is copied."""

from __future__ import annotations

import statistics
import time

import numpy as np
import pytest
from pace import slowness
from PyQt6.QtCore import QEvent, QPoint, QPointF, Qt
from PyQt6.QtGui import QMouseEvent, QWheelEvent
from PyQt6.QtWidgets import QApplication, QPushButton
from pytestqt.qtbot import QtBot
from screen import painted

from gui.canvas.canvas_view import MOST_ZOOM, CanvasView
from gui.canvas.video_canvas import VideoCanvas
from gui.services import Action
from tracker.types import ImageArray


def chequered(height: int, width: int) -> ImageArray:
    """Every pixel in a colour of its own, as far as colours go."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x % 256, y % 256, (x // 256) * 16 + (y // 256)], axis=2).astype(np.uint8)


@pytest.fixture
def canvas(qtbot: QtBot) -> VideoCanvas:
    made = VideoCanvas()
    qtbot.addWidget(made)
    made.resize(640, 400)
    made.show()
    qtbot.waitExposed(made)
    return made


def test_an_image_is_shown_whole_in_the_middle(canvas: VideoCanvas) -> None:
    canvas.show_image(chequered(360, 640))
    picture = painted(canvas)
    assert (picture[20:380] == chequered(360, 640)).all()
    ground = picture[0, 0]
    assert (picture[:20] == ground).all()
    assert (picture[380:] == ground).all()


def test_every_size_fits(canvas: VideoCanvas) -> None:
    for height, width in ((1, 1), (1, 5000), (5000, 1), (1080, 1920), (37, 23)):
        canvas.show_image(np.full((height, width, 3), 200, np.uint8))
        assert painted(canvas)[200, 320].tolist() == [200, 200, 200]


def test_an_image_of_another_kind_is_refused(canvas: VideoCanvas) -> None:
    for wrong in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(ValueError, match="an image is"):
            canvas.show_image(wrong)
    with pytest.raises(ValueError, match="float32"):
        canvas.show_image(np.zeros((4, 4, 3), np.float32))  # type: ignore[arg-type, unused-ignore]


def test_a_click_tells_the_pixel_under_it(canvas: VideoCanvas, qtbot: QtBot) -> None:
    canvas.show_image(chequered(720, 1280))  # at half its size, 20 px of ground above
    with qtbot.waitSignal(canvas.clicked) as signal:
        qtbot.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=QPoint(100, 70))
    # The widget's pixel 100 begins at 100; half-size pixels are two wide, whose first has its centre at 0.
    assert signal.args == pytest.approx([199.5, 99.5])
    with qtbot.assertNotEmitted(canvas.clicked):
        qtbot.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=QPoint(100, 5))  # the ground
        qtbot.mouseClick(canvas, Qt.MouseButton.RightButton, pos=QPoint(100, 70))


def test_the_wheel_zooms_round_the_pointer_and_a_double_click_shows_all(canvas: VideoCanvas, qtbot: QtBot) -> None:
    image = chequered(720, 1280)
    canvas.show_image(image)
    at = QPointF(500, 200)
    for _ in range(12):
        wheel = QWheelEvent(
            at, at, QPoint(), QPoint(0, 120), Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        QApplication.sendEvent(canvas, wheel)
    assert canvas.zoom > 6
    with qtbot.waitSignal(canvas.clicked) as signal:
        qtbot.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=at.toPoint())
    assert signal.args == pytest.approx([999.5, 359.5], abs=0.01)
    x, y = (round(v) for v in signal.args)
    assert np.abs(painted(canvas)[200, 500].astype(int) - image[y, x]).max() <= 2
    qtbot.mouseDClick(canvas, Qt.MouseButton.LeftButton)
    assert canvas.zoom == 1


def test_a_drag_pans_and_is_no_click(canvas: VideoCanvas, qtbot: QtBot) -> None:
    canvas.show_image(chequered(720, 1280))
    canvas.zoom_by(4, QPointF(320, 200))
    before = painted(canvas)
    with qtbot.assertNotEmitted(canvas.clicked):
        qtbot.mousePress(canvas, Qt.MouseButton.LeftButton, pos=QPoint(300, 200))
        for x in range(300, 400, 10):
            move(canvas, QPoint(x, 200), Qt.MouseButton.LeftButton)
        move(canvas, QPoint(400, 200), Qt.MouseButton.LeftButton)
        qtbot.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=QPoint(400, 200))
    after = painted(canvas)
    assert (after[100:300, 250:500] == before[100:300, 150:400]).mean() > 0.99


def move(canvas: VideoCanvas, to: QPoint, button: Qt.MouseButton = Qt.MouseButton.NoButton) -> None:
    """A move with a button down, which QTest can't make."""
    at, none = QPointF(to), Qt.KeyboardModifier.NoModifier
    where = canvas.mapToGlobal(at)
    event = QMouseEvent(QEvent.Type.MouseMove, at, where, Qt.MouseButton.NoButton, button, none)
    QApplication.sendEvent(canvas, event)


def test_keys_zoom_and_pan_and_leave_the_rest_to_the_window(canvas: VideoCanvas, qtbot: QtBot) -> None:
    canvas.show_image(chequered(720, 1280))
    qtbot.keyClick(canvas, Qt.Key.Key_Plus)
    assert canvas.zoom == pytest.approx(1.25)
    before = painted(canvas)
    qtbot.keyClick(canvas, Qt.Key.Key_Left)
    assert (painted(canvas) != before).any()
    qtbot.keyClick(canvas, Qt.Key.Key_0)
    assert canvas.zoom == 1
    qtbot.keyClick(canvas, Qt.Key.Key_Minus)
    assert canvas.zoom == 1


def test_the_pointer_is_followed(canvas: VideoCanvas, qtbot: QtBot) -> None:
    canvas.show_image(chequered(360, 640))
    with qtbot.waitSignal(canvas.hovered) as signal:
        move(canvas, QPoint(10, 30))
    assert signal.args == pytest.approx([9.5, 9.5])
    with qtbot.waitSignal(canvas.left):
        move(canvas, QPoint(10, 3))


def test_painted_comes_once_an_image(canvas: VideoCanvas, qtbot: QtBot) -> None:
    with qtbot.waitSignal(canvas.painted):
        canvas.show_image(chequered(360, 640))
    with qtbot.assertNotEmitted(canvas.painted, wait=50):
        canvas.repaint()


def test_a_message_offers_its_next_step(canvas: VideoCanvas, qtbot: QtBot) -> None:
    done: list[int] = []
    canvas.show_message("The camera is gone. Connect it again.", Action("Try again", lambda: done.append(1)))
    assert canvas.message == "The camera is gone. Connect it again."
    (button,) = (b for b in canvas.findChildren(QPushButton) if b.isVisible())
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert done == [1]
    canvas.show_message("Looking for cameras ...")
    assert not button.isVisible()
    canvas.show_message("")
    assert canvas.message == ""


def test_a_part_is_shown_as_large_as_it_fits(canvas: VideoCanvas) -> None:
    canvas.show_image(chequered(720, 1280))
    canvas.show_part(600, 300, 760, 400)
    picture = painted(canvas)
    assert canvas.zoom == pytest.approx(8)  # 160 of 1280 px
    assert np.abs(picture[200, 320].astype(int) - chequered(720, 1280)[350, 680]).max() <= 2
    canvas.show_part(-50, -50, 20000, 20000)
    assert canvas.zoom == 1


def test_panes_are_zoomed_and_panned_together(canvas: VideoCanvas, qtbot: QtBot) -> None:
    left, right = chequered(360, 640), 255 - chequered(360, 640)
    canvas.show_image(np.hstack([left, right]), panes=2)
    picture = painted(canvas)
    assert np.abs(picture[200, 160].astype(int) - left[180, 320]).max() <= 2  # half size, each in its half
    assert np.abs(picture[200, 480].astype(int) - right[180, 320]).max() <= 2
    canvas.zoom_by(8, QPointF(160 + 320, 200))  # round a place in the right one
    picture = painted(canvas)
    assert np.abs(picture[200, 160].astype(int) - left[180, 320]).max() <= 4
    assert np.abs(picture[200, 480].astype(int) - right[180, 320]).max() <= 4
    seen_left, seen_right = picture[:350, 10:310], picture[:350, 330:630]  # without the line between, and the tag
    assert np.abs(seen_left.astype(int) - (255 - seen_right.astype(int))).max() <= 2
    canvas.zoom_by(8)  # round the middle of each
    assert np.abs(painted(canvas)[200, 160].astype(int) - left[180, 320]).max() <= 4


def test_a_click_in_the_second_pane_tells_the_pixel_of_the_whole_image(canvas: VideoCanvas, qtbot: QtBot) -> None:
    canvas.show_image(np.hstack([chequered(360, 640)] * 2), panes=2)
    for x, expected in ((160, 320.5), (480, 960.5)):
        with qtbot.waitSignal(canvas.clicked) as signal:
            qtbot.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=QPoint(x, 200))
        assert signal.args == pytest.approx([expected - 1, 179.5])


def test_an_image_that_does_not_divide_into_its_panes_is_refused(canvas: VideoCanvas) -> None:
    with pytest.raises(ValueError, match="2 panes"):
        canvas.show_image(chequered(4, 5), panes=2)


def test_painting_a_1080p_image_takes_little_of_the_gui_thread(canvas: VideoCanvas) -> None:
    canvas.resize(1280, 720)
    image = chequered(1080, 1920)
    spent_ms = []
    for _ in range(15):
        before = time.thread_time()  # what else runs on this machine does not count
        canvas.show_image(image)
        canvas.repaint()
        spent_ms.append(1000 * (time.thread_time() - before))
    assert statistics.median(spent_ms) < 10 * slowness()


def test_another_image_size_keeps_the_zoom(canvas: VideoCanvas) -> None:
    canvas.show_image(chequered(720, 1280))
    canvas.zoom_by(3)
    canvas.show_image(chequered(480, 640))
    assert canvas.zoom == 3
    canvas.clear()
    assert (canvas.image, canvas.zoom) == (None, 1)
    canvas.zoom_by(2)
    assert canvas.zoom == 1


@pytest.mark.parametrize("image_size", [(1280, 720), (720, 1280), (3, 5000)])
@pytest.mark.parametrize("widget_size", [(900, 500), (300, 700)])
def test_a_view_never_shows_more_ground_than_it_must(image_size: tuple[int, int], widget_size: tuple[int, int]) -> None:
    view = CanvasView(image_size, widget_size)
    rng = np.random.default_rng(0)
    for _ in range(200):
        if rng.random() < 0.5:
            view.zoom_by(float(rng.uniform(0.5, 2)), float(rng.uniform(0, 900)), float(rng.uniform(0, 700)))
        else:
            view.pan(float(rng.uniform(-900, 900)), float(rng.uniform(-900, 900)))
        assert 1 <= view.zoom <= MOST_ZOOM
        for origin, image, widget in zip(view.origin, image_size, widget_size, strict=True):
            length = image * view.scale
            if length <= widget:
                assert origin == pytest.approx((widget - length) / 2, abs=1e-6)
            else:
                assert widget - length - 1e-6 <= origin <= 1e-6
        left, top, right, bottom = view.visible_part()
        assert 0 <= left < right <= image_size[0]
        assert 0 <= top < bottom <= image_size[1]
