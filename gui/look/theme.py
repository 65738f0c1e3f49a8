"""Colours and metrics as data; the style sheet and the painted widgets both take them from here.

A painted widget reads ``current()`` when it paints and repaints on ``changes().changed``. The window wears the style
sheet, its dialogs take it over from it: changing one of the whole application takes Qt four times as long.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from PyQt6.QtCore import QObject, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QPalette
from PyQt6.QtWidgets import QApplication, QStyleFactory

from tracker.overlays.landmarks import CONFIDENCE_COLOURS as _CONFIDENCE_RGB

ThemeName = Literal["dark", "light"]


@dataclass(frozen=True, slots=True)
class Colours:
    """sRGB as "#rrggbb". Text on its ground has a contrast of at least 4.5 (WCAG 2, AA)."""

    window: str  # ground of the window and its bars
    panel: str  # ground of side panels and lists
    raised: str  # ground of controls
    hover: str  # ground of controls under the pointer
    pressed: str  # ground of controls held down
    line: str  # separators and borders
    text: str
    dim: str  # secondary text
    disabled: str  # text and signs of what can't be used
    accent: str  # what is chosen or most important
    on_accent: str  # text on the accent
    accent_ground: str  # ground of chosen chips and rows
    focus: str  # ring around what has the keyboard
    success: str
    warning: str
    error: str
    recording: str
    canvas: str  # behind the video


@dataclass(frozen=True, slots=True)
class Metrics:
    """Device-independent pixels."""

    gap: int = 8  # between controls
    small_gap: int = 4  # within a control
    margin: int = 12  # of panels
    section_gap: int = 18  # between sections of a panel
    radius: int = 6
    control_height: int = 30
    bar_height: int = 48
    panel_width: int = 320
    icon: int = 18


@dataclass(frozen=True, slots=True)
class Theme:
    """One look of the whole window."""

    name: ThemeName
    colours: Colours
    metrics: Metrics = Metrics()

    def colour(self, name: str) -> QColor:
        """A colour by its field name in ``Colours``."""
        return QColor(getattr(self.colours, name))


DARK = Theme(
    "dark",
    Colours(
        window="#17191d",
        panel="#1d2025",
        raised="#2a2e35",
        hover="#343942",
        pressed="#23262c",
        line="#33373f",
        text="#e6e8eb",
        dim="#a0a7b2",
        disabled="#6b727d",
        accent="#4cb3a8",
        on_accent="#0c1a18",
        accent_ground="#20403d",
        focus="#7fd6cc",
        success="#5cbf8a",
        warning="#e0ad4a",
        error="#f07f78",
        recording="#f0524a",
        canvas="#0e0f12",
    ),
)
LIGHT = Theme(
    "light",
    Colours(
        window="#eef0f2",
        panel="#f8f9fa",
        raised="#ffffff",
        hover="#e6e9ec",
        pressed="#d9dde2",
        line="#d2d6dc",
        text="#1c1f24",
        dim="#565d68",
        disabled="#989fa9",
        accent="#0b7a70",
        on_accent="#ffffff",
        accent_ground="#d3ebe8",
        focus="#0b7a70",
        success="#1d7a4c",
        warning="#8a5a00",
        error="#b3261e",
        recording="#d3302a",
        canvas="#dfe2e6",
    ),
)
_STYLE = "fusion"  # the same on every system, and it obeys the palette

THEMES: dict[ThemeName, Theme] = {"dark": DARK, "light": LIGHT}

CONFIDENCE_COLOURS = tuple(QColor(r, g, b) for r, g, b in _CONFIDENCE_RGB.tolist())  # 256, for 0..1; as the overlay's


def confidence_colour(confidence: float) -> QColor:
    """The overlay's colour of a confidence, 0..1."""
    return CONFIDENCE_COLOURS[round(255 * min(max(confidence, 0.0), 1.0))]


class Changes(QObject):
    """Says that the theme has changed."""

    changed = pyqtSignal(object)  # Theme


_changes = Changes()
_current = DARK


def current() -> Theme:
    """The theme in use."""
    return _current


def changes() -> Changes:
    """Its signal ``changed`` comes after every change of the theme."""
    return _changes


def system_theme(app: QApplication) -> ThemeName:
    """What the desktop is set to; dark where it doesn't say."""
    hints = app.styleHints()
    light = hints is not None and hints.colorScheme() == Qt.ColorScheme.Light
    return "light" if light else "dark"


def apply_theme(app: QApplication, name: str) -> None:
    """Gives the whole application a look: "dark", "light", or "system" for the desktop's.

    What the palette can't say, ``changes`` brings: the window's style sheet, icons, painted widgets.
    """
    global _current
    theme = LIGHT if name == "light" or (name == "system" and system_theme(app) == "light") else DARK
    _current = theme
    style = app.style()
    if style is None or style.objectName().lower() != _STYLE:  # to set it again would polish every widget
        app.setStyle(QStyleFactory.create(_STYLE))
    app.setPalette(_palette(theme))
    _changes.changed.emit(theme)


def _palette(theme: Theme) -> QPalette:
    palette = QPalette()
    role = QPalette.ColorRole
    for target, colour in (
        (role.Window, "window"),
        (role.Base, "panel"),
        (role.AlternateBase, "window"),
        (role.Button, "raised"),
        (role.ToolTipBase, "raised"),
        (role.Text, "text"),
        (role.WindowText, "text"),
        (role.ButtonText, "text"),
        (role.ToolTipText, "text"),
        (role.BrightText, "error"),
        (role.PlaceholderText, "dim"),
        (role.Highlight, "accent"),
        (role.HighlightedText, "on_accent"),
        (role.Link, "accent"),
        (role.Mid, "line"),
        (role.Dark, "line"),
        (role.Midlight, "hover"),
        (role.Light, "hover"),
        (role.Shadow, "canvas"),
    ):
        palette.setColor(target, theme.colour(colour))
    for target in (role.Text, role.WindowText, role.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, target, theme.colour("disabled"))
    return palette
