"""Qt's style sheet for a theme. What it can't say is painted in ``gui/widgets``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gui.look.theme import Theme

_ICONS = Path(__file__).with_name("icons")

# Buttons get their look from the property "kind", labels from "role", frames from "ground": see gui/widgets.
_SHEET = Template("""
QWidget { color: $text; }
QWidget:disabled { color: $disabled; }
QMainWindow, QDialog, QWidget[ground="window"] { background: $window; }
QWidget[ground="panel"] { background: $panel; }
QWidget[ground="bar"] { background: $panel; }
QFrame[line="bottom"] { border-bottom: 1px solid $line; }
QFrame[line="top"] { border-top: 1px solid $line; }
QFrame[line="left"] { border-left: 1px solid $line; }
QToolTip { background: $raised; color: $text; border: 1px solid $line; padding: 5px 7px; }

QLabel[role="dim"] { color: $dim; }
QLabel[role="dim"]:disabled { color: $disabled; }
QLabel[role="warning"] { color: $warning; }
QLabel[role="error"] { color: $error; }
QLabel[role="success"] { color: $success; }
QLabel[role="section"] { color: $dim; font-weight: 600; letter-spacing: 0.06em; }

QPushButton, QToolButton {
    background: $raised; border: 1px solid $line; border-radius: ${radius}px;
    min-height: ${inner_height}px; padding: 0 12px;
}
QToolButton { padding: 0 6px; }
QPushButton:hover, QToolButton:hover { background: $hover; }
QPushButton:pressed, QToolButton:pressed { background: $pressed; }
QPushButton:focus, QToolButton:focus { border: 1px solid $focus; outline: none; }
QPushButton:disabled, QToolButton:disabled { background: transparent; color: $disabled; }
QPushButton:checked, QToolButton:checked { background: $accent_ground; border-color: $accent; }
QPushButton:checked:focus, QToolButton:checked:focus { border-color: $focus; }
QPushButton[kind="primary"] { background: $accent; border-color: $accent; color: $on_accent; font-weight: 600; }
QPushButton[kind="primary"]:hover { background: $accent_hover; }
QPushButton[kind="primary"]:focus { border: 2px solid $text; }
QPushButton[kind="primary"]:disabled { background: $raised; border-color: $line; color: $disabled; }
QPushButton[kind="quiet"], QToolButton[kind="quiet"] { background: transparent; border-color: transparent; }
QPushButton[kind="quiet"]:hover, QToolButton[kind="quiet"]:hover { background: $hover; }
QPushButton[kind="quiet"]:focus, QToolButton[kind="quiet"]:focus { border-color: $focus; }
QPushButton[kind="quiet"]:checked, QToolButton[kind="quiet"]:checked { background: $accent_ground; }
QToolButton::menu-indicator { image: none; }

QPushButton[kind="chip"] { border-radius: 13px; min-height: 24px; padding: 0 11px; }

QPushButton[kind="tab"] {
    background: transparent; border: none; border-bottom: 2px solid transparent; border-radius: 0;
    min-height: ${tab_height}px; padding: 2px 14px 0 14px; color: $dim; font-weight: 600;
}
QPushButton[kind="tab"]:hover { color: $text; }
QPushButton[kind="tab"]:checked { background: transparent; color: $text; border-bottom-color: $accent; }
QPushButton[kind="tab"]:focus { color: $text; background: $hover; }

QComboBox, QLineEdit, QSpinBox, QDoubleSpinBox {
    background: $raised; border: 1px solid $line; border-radius: ${radius}px;
    min-height: ${inner_height}px; padding: 0 8px; selection-background-color: $accent; selection-color: $on_accent;
}
QComboBox:hover, QLineEdit:hover, QSpinBox:hover, QDoubleSpinBox:hover { background: $hover; }
QComboBox:focus, QLineEdit:focus, QSpinBox:focus, QDoubleSpinBox:focus { border-color: $focus; }
QComboBox:disabled, QLineEdit:disabled, QSpinBox:disabled, QDoubleSpinBox:disabled { background: transparent; }
QComboBox::drop-down { border: none; width: 24px; }
QComboBox::down-arrow { image: url($icons/arrow-down.svg); width: 12px; height: 12px; }
QComboBox QAbstractItemView {
    background: $raised; border: 1px solid $line; padding: 4px; outline: none;
    selection-background-color: $accent_ground; selection-color: $text;
}
QComboBox QAbstractItemView::item { min-height: ${inner_height}px; padding: 0 8px; border-radius: 4px; }
QSpinBox::up-button, QDoubleSpinBox::up-button, QSpinBox::down-button, QDoubleSpinBox::down-button {
    border: none; background: transparent; width: 20px;
}
QSpinBox::up-arrow, QDoubleSpinBox::up-arrow { image: url($icons/arrow-up.svg); width: 10px; height: 10px; }
QSpinBox::down-arrow, QDoubleSpinBox::down-arrow { image: url($icons/arrow-down.svg); width: 10px; height: 10px; }

QCheckBox, QRadioButton { spacing: 8px; min-height: 24px; border: 1px solid transparent; border-radius: 4px; }
QCheckBox:focus, QRadioButton:focus { border-color: $focus; }
QCheckBox::indicator {
    width: 16px; height: 16px; border: 1px solid $dim; border-radius: 4px; background: $raised;
}
QCheckBox::indicator:checked { background: $accent; border-color: $accent; image: url($icons/check-$name.svg); }
QCheckBox::indicator:disabled { border-color: $disabled; background: transparent; }
QCheckBox::indicator:checked:disabled { border-color: $disabled; background: $disabled; }

QSlider:horizontal { min-height: 20px; }
QSlider::groove:horizontal { height: 4px; border-radius: 2px; background: $line; }
QSlider::sub-page:horizontal { height: 4px; border-radius: 2px; background: $accent; }
QSlider::handle:horizontal {
    width: 14px; height: 14px; margin: -6px 0; border-radius: 8px; background: $handle; border: 1px solid $handle_line;
}
QSlider::handle:horizontal:hover { background: $accent; }
QSlider::handle:horizontal:focus { border: 2px solid $focus; }
QSlider::sub-page:horizontal:disabled { background: $disabled; }
QSlider::handle:horizontal:disabled { background: $disabled; }

QProgressBar { background: $line; border: none; border-radius: 3px; max-height: 6px; min-height: 6px; }
QProgressBar::chunk { background: $accent; border-radius: 3px; }

QScrollArea { border: none; background: transparent; }
QScrollArea > QWidget > QWidget { background: transparent; }
QScrollBar:vertical { background: transparent; width: 10px; margin: 0; }
QScrollBar:horizontal { background: transparent; height: 10px; margin: 0; }
QScrollBar::handle { background: $line; border-radius: 3px; margin: 2px; min-height: 28px; min-width: 28px; }
QScrollBar::handle:hover { background: $disabled; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }

QListView, QTreeView, QTableView, QTextBrowser, QPlainTextEdit {
    background: $panel; border: 1px solid $line; border-radius: ${radius}px; outline: none;
    selection-background-color: $accent_ground; selection-color: $text; alternate-background-color: $window;
}
QListView:focus, QTreeView:focus, QTableView:focus { border-color: $focus; }
QListView::item, QTreeView::item { min-height: 24px; padding: 2px 6px; border-radius: 4px; }
QListView::item:hover, QTreeView::item:hover { background: $hover; }
QListView::item:selected, QTreeView::item:selected { background: $accent_ground; color: $text; }
QHeaderView::section {
    background: $panel; color: $dim; border: none; border-bottom: 1px solid $line; padding: 5px 8px; font-weight: 600;
}

QMenu { background: $raised; border: 1px solid $line; padding: 4px; }
QMenu::item { padding: 6px 24px 6px 12px; border-radius: 4px; }
QMenu::item:selected { background: $accent_ground; }
QMenu::separator { height: 1px; background: $line; margin: 4px 8px; }
QSplitter::handle { background: $line; }

QFrame[row="face"] { background: $raised; border: 1px solid $line; border-radius: ${radius}px; }
QFrame[row="face"]:hover { background: $hover; }
QFrame[row="face"]:focus { border-color: $focus; }
QFrame[row="face"][chosen="true"] { border-color: $accent; background: $accent_ground; }
QFrame[card="true"] { background: $raised; border: 1px solid $line; border-radius: ${radius}px; }
QFrame[message="info"], QFrame[message="success"], QFrame[message="warning"], QFrame[message="error"] {
    background: $raised; border: none; border-bottom: 1px solid $line; border-left: 4px solid $accent;
}
QFrame[message="success"] { border-left-color: $success; }
QFrame[message="warning"] { border-left-color: $warning; }
QFrame[message="error"] { border-left-color: $error; }
QFrame[message] QPushButton { background: $hover; border-color: $disabled; }
QFrame[message] QPushButton:hover { background: $pressed; }
QFrame[message] QPushButton:focus { border-color: $focus; }
QLabel[role="key"] {
    background: $raised; border: 1px solid $line; border-bottom-width: 2px; border-radius: 4px; padding: 1px 7px;
    font-weight: 600;
}
""")


def style_sheet(theme: Theme) -> str:
    """The style sheet with the theme's colours and metrics."""
    metrics = theme.metrics
    return _SHEET.substitute(
        asdict(theme.colours),
        name=theme.name,
        radius=metrics.radius,
        inner_height=metrics.control_height - 2,
        tab_height=metrics.bar_height - 6,
        accent_hover=theme.colour("accent").lighter(112).name(),
        handle=theme.colours.text if theme.name == "dark" else theme.colours.raised,
        handle_line=theme.colours.line if theme.name == "dark" else theme.colours.disabled,
        icons=_ICONS.as_posix(),
    )
