"""The settings dialog, generated from the schema. Every change takes effect at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QCheckBox, QDialog, QFileDialog, QHBoxLayout, QSpinBox, QVBoxLayout, QWidget

from gui.look import theme
from gui.settings.settings_schema import Control, Settings, control_of
from gui.settings.settings_store import SettingsStore
from gui.widgets import Button, Choice, ElidedLabel, IconButton, LabelledSlider, SidePanel, label

_WIDTH, _HEIGHT = 520, 680  # px

Show = Callable[[Any], None]  # shows a value in a control without saying that the user changed it
Change = Callable[[Any], None]  # takes a value that the user has set


class SettingsPanel(QDialog):
    """Not modal: what a setting does is seen in the window beside it."""

    reset_wanted = pyqtSignal()

    def __init__(self, settings: SettingsStore, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Fewmark: settings")
        self._settings = settings
        self._show: dict[tuple[str, str], Show] = {}  # by section and name
        panel = SidePanel(width=None)
        for section in dataclasses.fields(Settings):
            rows = self._rows(section.name)
            if rows:
                panel.add_section(section.name, *rows).setSpacing(theme.current().metrics.margin)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(panel, 1)
        column.addLayout(self._footer())
        self.resize(_WIDTH, _HEIGHT)
        settings.changed.connect(self._refresh)
        self._refresh(settings.current)

    def _rows(self, section: str) -> list[QWidget]:
        """A row for every setting of the section that has a control."""
        values = getattr(self._settings.current, section)
        hints = get_type_hints(type(values))
        rows = []
        for item in dataclasses.fields(values):
            control = control_of(item)
            if control is None:
                continue

            def change(value: Any, name: str = item.name) -> None:
                self._settings.update(section, **{name: value})

            row, show = _build(control, hints[item.name], change)
            self._show[section, item.name] = show
            rows.append(row)
        return rows

    def _footer(self) -> QHBoxLayout:
        metrics = theme.current().metrics
        footer = QHBoxLayout()
        footer.setContentsMargins(metrics.margin, metrics.gap, metrics.margin, metrics.margin)
        path = ElidedLabel(str(self._settings.path), "dim")
        reset = Button("Reset everything", tip="All settings back to their defaults")
        reset.clicked.connect(self.reset_wanted)
        footer.addWidget(path, 1)
        footer.addWidget(reset)
        return footer

    def _refresh(self, settings: Settings) -> None:
        for (section, name), show in self._show.items():
            show(getattr(getattr(settings, section), name))


def _build(control: Control, hint: Any, change: Change) -> tuple[QWidget, Show]:
    """The widget for a type, and the function that shows a value in it."""
    if hint is bool:
        return _switch(control, change)
    if hint is int:
        return _number(control, change)
    if hint is float:
        return _slider(control, change)
    if get_origin(hint) is Literal:
        return _choice(control, {value: value.capitalize() for value in get_args(hint)}, change)
    if hint is str and control.choices is not None:
        return _choice(control, {value: value.replace("_", " ").capitalize() for value in control.choices()}, change)
    if hint == Path | None:
        return _folder(control, change)
    raise TypeError(f"{control.label}: no widget for {hint}")


def _switch(control: Control, change: Change) -> tuple[QWidget, Show]:
    box = QCheckBox(control.label)
    box.toggled.connect(change)
    return _with_help(box, control), box.setChecked


def _number(control: Control, change: Change) -> tuple[QWidget, Show]:
    box = QSpinBox()
    box.setRange(round(control.minimum), round(control.maximum))
    box.setSingleStep(round(control.step))
    box.setKeyboardTracking(False)  # 40 is not 4 first
    box.setAccessibleName(control.label)
    box.valueChanged.connect(change)
    return _with_help(_labelled(control, box), control), box.setValue


def _slider(control: Control, change: Change) -> tuple[QWidget, Show]:
    def text(value: float) -> str:
        return f"{value:g} {control.unit}".strip() if control.step >= 1 else f"{value:.2f} {control.unit}".strip()

    slider = LabelledSlider(
        control.label, minimum=control.minimum, maximum=control.maximum, step=control.step, show=text
    )
    slider.value_changed.connect(change)
    return _with_help(slider, control), slider.set_value


def _choice(control: Control, choices: dict[str, str], change: Change) -> tuple[QWidget, Show]:
    box = Choice(control.label)
    box.set_choices(choices, "")
    box.chosen.connect(change)
    return _with_help(_labelled(control, box), control), box.set_value


def _folder(control: Control, change: Change) -> tuple[QWidget, Show]:
    """A folder, or none for the default that the help names."""
    path = ElidedLabel(role="dim")
    pick = Button("Choose ...", icon_name="folder")
    clear = IconButton("close", f"{control.label}: back to the default")

    def choose() -> None:
        chosen = QFileDialog.getExistingDirectory(pick.window(), control.label)
        if chosen:
            change(Path(chosen))

    def show(value: Path | None) -> None:
        path.set_text(str(value) if value else "default")
        clear.setEnabled(value is not None)

    pick.clicked.connect(choose)
    clear.clicked.connect(lambda: change(None))
    return _with_help(_labelled(control, path, pick, clear), control), show


def _labelled(control: Control, *widgets: QWidget) -> QWidget:
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.addWidget(label(control.label), 0 if len(widgets) > 1 else 1)
    for widget in widgets:
        layout.addWidget(widget, 1 if isinstance(widget, ElidedLabel) else 0)
    return row


def _with_help(widget: QWidget, control: Control) -> QWidget:
    if not control.help:
        return widget
    made = QWidget()
    column = QVBoxLayout(made)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(2)
    text = label(control.help, "dim")
    text.setWordWrap(True)
    column.addWidget(widget)
    column.addWidget(text)
    return made
