"""The window's own controls and its looks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from PyQt6.QtCore import QPoint, QPointF, Qt
from PyQt6.QtGui import QColor, QWheelEvent
from PyQt6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from gui.look import theme
from gui.look.icon_set import application_icon, icon
from gui.look.stylesheet import style_sheet
from gui.look.theme import THEMES, Theme, apply_theme
from gui.services import Action, Level
from gui.shell.message_bar import MessageBar
from gui.shell.status_line import StatusLine, engine_text, rates_text
from gui.widgets import Button, Chip, Choice, ElidedLabel, FaceRow, IconButton, LabelledSlider, OpacityChip
from gui.workspace import Status
from tracker.backends import PassedOver
from tracker.overlays.landmarks import CONFIDENCE_COLOURS


def _contrast(one: QColor, other: QColor) -> float:
    """WCAG 2's contrast ratio, 1..21."""

    def luminance(colour: QColor) -> float:
        parts = (colour.redF(), colour.greenF(), colour.blueF())
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("look", THEMES.values(), ids=lambda look: look.name)
def test_text_stands_out_from_every_ground_it_lies_on(look: Theme) -> None:
    pairs = [("on_accent", "accent"), ("text", "accent_ground")]
    pairs += [(text, ground) for text in ("text", "dim") for ground in ("window", "panel", "raised", "hover")]
    pairs += [(sign, "raised") for sign in ("success", "warning", "error")]
    low = {pair: _contrast(look.colour(pair[0]), look.colour(pair[1])) for pair in pairs}
    assert {pair: round(ratio, 2) for pair, ratio in low.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("look", THEMES.values(), ids=lambda look: look.name)
def test_what_the_style_sheet_names_is_there(look: Theme) -> None:
    sheet = style_sheet(look)
    files = re.findall(r"url\(([^)]+)\)", sheet)
    assert files
    assert [file for file in files if not Path(file).is_file()] == []
    assert "$" not in sheet


def test_qt_understands_the_style_sheet(qtbot: QtBot, qtlog: Any) -> None:
    for look in THEMES.values():
        row = FaceRow()
        qtbot.addWidget(row)
        row.setStyleSheet(style_sheet(look))
        row.show()
    assert [record.message for record in qtlog.records if "style" in record.message.lower()] == []


def test_legend_and_overlay_have_the_same_colours() -> None:
    assert [theme.confidence_colour(level / 255).getRgb()[:3] for level in range(256)] == [
        tuple(colour) for colour in CONFIDENCE_COLOURS.tolist()
    ]


def test_a_theme_reaches_palette_and_listeners(qapp: QApplication) -> None:
    heard: list[Theme] = []
    theme.changes().changed.connect(heard.append)
    apply_theme(qapp, "light")
    assert qapp.palette().window().color() == theme.LIGHT.colour("window")
    apply_theme(qapp, "dark")
    theme.changes().changed.disconnect(heard.append)
    assert heard == [theme.LIGHT, theme.DARK]
    assert theme.current() is theme.DARK


def test_icons_wear_the_colours_of_the_theme(qtbot: QtBot, qapp: QApplication) -> None:
    button = IconButton("play", "Play")
    qtbot.addWidget(button)
    colours = []
    for name in ("dark", "light"):
        apply_theme(qapp, name)
        centre = button.icon().pixmap(24, 24).toImage().pixelColor(10, 12)
        colours.append(centre.name())
    apply_theme(qapp, "dark")
    assert colours == [theme.DARK.colours.text, theme.LIGHT.colours.text]


def test_a_button_that_becomes_another_kind_changes_its_icon_too(qtbot: QtBot, qapp: QApplication) -> None:
    apply_theme(qapp, "dark")
    button = Button("Start", icon_name="play", kind="primary")
    qtbot.addWidget(button)
    colours = []
    for kind in ("primary", ""):
        button.set_kind(kind)
        colours.append(button.icon().pixmap(24, 24).toImage().pixelColor(10, 12).name())
    assert colours == [theme.DARK.colours.on_accent, theme.DARK.colours.text]


def test_every_icon_draws_something(qapp: QApplication) -> None:
    files = sorted((Path(theme.__file__).with_name("icons")).glob("*.svg"))
    assert len(files) > 20
    for file in files:
        image = icon(file.stem).pixmap(24, 24).toImage()
        assert any(image.pixelColor(x, y).alpha() for x in range(24) for y in range(24)), file.name
    assert not application_icon().isNull()


def test_a_chip_is_worked_by_keyboard_and_its_slider_follows(qtbot: QtBot) -> None:
    pair = OpacityChip("Heatmap", on=False, opacity=0.4)
    qtbot.addWidget(pair)
    pair.show()
    opacities: list[float] = []
    pair.opacity_changed.connect(opacities.append)
    pair.chip.setFocus()
    with qtbot.waitSignal(pair.toggled):
        qtbot.keyClick(pair.chip, Qt.Key.Key_Space)
    assert pair.chip.isChecked()
    pair.set_opacity(0.7)
    assert opacities == []
    (slider,) = (child for child in pair.children() if child.metaObject().className() == "Slider")  # type: ignore[union-attr]
    assert isinstance(slider, QWidget)
    assert slider.isEnabled()
    qtbot.keyClick(slider, Qt.Key.Key_Right)
    assert opacities == [pytest.approx(0.71)]


def test_a_chip_leaves_the_keyboard_where_it_was_when_clicked(qtbot: QtBot) -> None:
    page = QWidget()
    qtbot.addWidget(page)
    page.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    chip = Chip("Points", parent=page)
    page.show()
    page.setFocus()
    qtbot.mouseClick(chip, Qt.MouseButton.LeftButton)
    assert chip.isChecked()
    assert not chip.hasFocus()


def test_a_choice_takes_neither_letters_nor_the_wheel(qtbot: QtBot) -> None:
    choice = Choice("Camera")
    qtbot.addWidget(choice)
    choice.set_choices({"a": "Alpha", "b": "Beta"}, "a")
    chosen: list[str] = []
    choice.chosen.connect(chosen.append)
    choice.show()
    choice.setFocus()
    qtbot.keyClick(choice, Qt.Key.Key_B)
    wheel = QWheelEvent(
        QPointF(5, 5), QPointF(5, 5), QPoint(), QPoint(0, -120), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(choice, wheel)
    assert (choice.value, wheel.isAccepted()) == ("a", False)
    qtbot.keyClick(choice, Qt.Key.Key_Down)
    assert (choice.value, chosen) == ("b", ["b"])
    choice.set_choices({"c": "Gamma"}, "none of them")
    assert (choice.value, chosen) == ("", ["b"])


def test_a_labelled_slider_tells_only_what_the_user_did(qtbot: QtBot) -> None:
    slider = LabelledSlider("Length", minimum=5, maximum=120, step=5, value=20, show="{:g} s".format)
    qtbot.addWidget(slider)
    heard: list[float] = []
    slider.value_changed.connect(heard.append)
    slider.set_value(60)
    assert (slider.value, heard) == (60, [])
    (handle,) = (child for child in slider.children() if child.metaObject().className() == "Slider")  # type: ignore[union-attr]
    assert isinstance(handle, QWidget)
    qtbot.keyClick(handle, Qt.Key.Key_Right)
    assert (slider.value, heard) == (65, [65])


def test_a_face_row_is_chosen_by_pointer_and_keyboard(qtbot: QtBot) -> None:
    row = FaceRow()
    qtbot.addWidget(row)
    row.show()
    with qtbot.waitSignal(row.clicked):
        qtbot.mouseClick(row, Qt.MouseButton.LeftButton)
    with qtbot.waitSignal(row.clicked):
        qtbot.keyClick(row, Qt.Key.Key_Return)


def test_a_long_text_is_cut_and_told_whole(qtbot: QtBot) -> None:
    text = "a/very/long/path/" * 10
    line = ElidedLabel(text)
    qtbot.addWidget(line)
    line.resize(120, 20)
    line.show()
    assert len(line.text()) < len(text)
    assert line.toolTip() == text
    line.set_text("short")
    assert (line.text(), line.toolTip()) == ("short", "")
    line.set_text(text, short="53 / 56")
    assert (line.text(), line.toolTip()) == ("53 / 56", text)


def test_the_newest_message_is_shown_and_the_one_before_after_it(qtbot: QtBot) -> None:
    bar = MessageBar()
    qtbot.addWidget(bar)
    bar.notify("The camera is gone.", Level.WARNING)
    bar.notify("The disk is full.", Level.ERROR)
    bar.notify("The camera is gone.", Level.WARNING)
    assert bar.text == "The camera is gone."
    bar.close_message()
    assert bar.text == "The disk is full."
    bar.close_message()
    assert (bar.text, bar.isVisible()) == ("", False)


def test_only_messages_that_need_nothing_go_away_by_themselves(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gui.shell.message_bar._SHOWN_MS", 20)
    monkeypatch.setattr("gui.shell.message_bar._OFFERED_MS", 40)
    bar = MessageBar()
    qtbot.addWidget(bar)
    bar.notify("The disk is full.", Level.ERROR)
    bar.notify("Saved.", Level.SUCCESS)
    qtbot.waitUntil(lambda: bar.text == "The disk is full.", timeout=2000)
    bar.notify("A camera is connected.", Level.INFO, Action("Use it", lambda: None))
    bar.notify("Recorded.", Level.SUCCESS, Action("Show in folder", lambda: None))
    assert bar.text == "Recorded."
    qtbot.waitUntil(lambda: bar.text == "A camera is connected.", timeout=2000)
    qtbot.wait(60)
    assert bar.text == "A camera is connected."


def test_a_messages_button_does_it_once(qtbot: QtBot) -> None:
    bar = MessageBar()
    qtbot.addWidget(bar)
    done: list[str] = []
    bar.notify("Saved to a.mp4.", Level.SUCCESS, Action("Show", lambda: done.append("shown")))
    (button,) = (child for child in bar.findChildren(QWidget) if getattr(child, "text", str)() == "Show")
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert (done, bar.text) == (["shown"], "")


@pytest.mark.parametrize(
    ("status", "engine", "rates"),
    [
        (Status(), "", ""),
        (Status(model="fine256"), "fine256", ""),
        (
            Status("fine256", "openvino", "Intel Core i5, f32", camera_rate=30, model_rate=61.97, shown_rate=29.96),
            "fine256 on OpenVINO, Intel Core i5, f32",
            "camera 30.0, model 62.0, shown 30.0 fps",
        ),
        (Status(backend="tensorrt", shown_rate=25), "TensorRT", "shown 25.0 fps"),
    ],
)
def test_the_status_line_says_what_is_known(status: Status, engine: str, rates: str) -> None:
    assert (engine_text(status), rates_text(status)) == (engine, rates)


def test_the_status_line_tells_why_no_better_engine_runs(qtbot: QtBot) -> None:
    line = StatusLine()
    qtbot.addWidget(line)
    line.show()
    (sign,) = line.findChildren(IconButton)
    assert not sign.isVisible()
    line.show_status(Status("fine256", "eager", passed_over=(PassedOver("openvino", "not installed"),), replaced=0))
    assert sign.isVisible()
    assert "OpenVINO: not installed" in sign.toolTip()
    assert "replaced 0" in [getattr(child, "text", str)() for child in line.findChildren(QWidget)]
    coming = PassedOver("tensorrt", "its engine is being built (1:20)", pending=True)
    line.resize(1600, line.height())
    line.show_status(Status("fine256", "cuda_graphs", passed_over=(coming,)))
    assert "TensorRT: its engine is being built (1:20)" in [text.text() for text in line.findChildren(ElidedLabel)]
