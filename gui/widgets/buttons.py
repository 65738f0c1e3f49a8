"""Buttons, and the chips that switch something on."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtWidgets import QAbstractButton, QPushButton, QSizePolicy, QToolButton, QWidget

from gui.look import theme
from gui.look.icon_set import icon
from gui.widgets.labels import restyle

_METRICS = theme.DARK.metrics  # the same in every theme


class Button(QPushButton):
    """A button with text, and an icon if it is given one."""

    def __init__(
        self, text: str, *, icon_name: str = "", kind: str = "", tip: str = "", parent: QWidget | None = None
    ) -> None:
        """
        Args:
            icon_name: of ``gui/look/icons``.
            kind: "" (plain), "primary" (the one obvious next step of a page) or "quiet" (no frame until pointed at).
        """
        super().__init__(text, parent)
        self._icon_name, self._kind, self._icon_colour = icon_name, kind, ""
        self.setProperty("kind", kind)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # after a click the keys still belong to the workspace
        self.setToolTip(tip)
        theme.changes().changed.connect(self._on_theme)
        self._on_theme()

    def set_icon(self, name: str, colour: str = "") -> None:
        """Another icon, in a colour of the theme; empty: the text's."""
        self._icon_name, self._icon_colour = name, colour
        self._on_theme()

    def set_kind(self, kind: str) -> None:
        """Another kind, as in the constructor."""
        if kind != self._kind:
            self._kind = kind
            restyle(self, "kind", kind)
            self._on_theme()

    def _on_theme(self) -> None:
        if self._icon_name:
            own = "on_accent" if self._kind == "primary" else "text"
            _wear_icon(self, self._icon_name, self._icon_colour or own)


class IconButton(QToolButton):
    """A quiet button that is an icon only; the tip says what it does, to screen readers too."""

    def __init__(self, icon_name: str, tip: str, *, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._icon_name, self._colour = icon_name, "text"
        self.setProperty("kind", "quiet")
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.set_tip(tip)
        theme.changes().changed.connect(self._on_theme)
        self._on_theme()

    def set_tip(self, tip: str) -> None:
        self.setToolTip(tip)
        self.setAccessibleName(tip)

    def set_icon(self, name: str, colour: str = "text") -> None:
        """Another icon, in a colour of the theme."""
        self._icon_name, self._colour = name, colour
        self._on_theme()

    def _on_theme(self) -> None:
        _wear_icon(self, self._icon_name, self._colour)


class Chip(QPushButton):
    """A small switch that carries its own name."""

    def __init__(self, text: str, *, tip: str = "", on: bool = False, parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.setCheckable(True)
        self.setChecked(on)
        self.setProperty("kind", "chip")
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setToolTip(tip)
        self.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Fixed)


def _wear_icon(button: QAbstractButton, name: str, colour: str) -> None:
    button.setIcon(icon(name, colour))
    button.setIconSize(QSize(_METRICS.icon, _METRICS.icon))
