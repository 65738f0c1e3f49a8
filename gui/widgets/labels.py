"""Text that the window shows, and how the style sheet is told what it is."""

from __future__ import annotations

from PyQt6.QtCore import QEvent, Qt
from PyQt6.QtWidgets import QLabel, QSizePolicy, QWidget


def restyle(widget: QWidget, name: str, value: str) -> None:
    """Sets a property that the style sheet looks at, and has it looked at."""
    widget.setProperty(name, value)
    style = widget.style()
    if style is not None:
        style.unpolish(widget)
        style.polish(widget)


def label(text: str = "", role: str = "") -> QLabel:
    """A plain-text label; roles: dim, section, key, success, warning, error."""
    made = QLabel(text)
    made.setTextFormat(Qt.TextFormat.PlainText)
    if role:
        made.setProperty("role", role)
    return made


class ElidedLabel(QLabel):
    """One line of plain text, cut in the middle where it doesn't fit; the whole of it is the tip."""

    def __init__(self, text: str = "", role: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._whole = self._short = ""
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setProperty("role", role)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.set_text(text)

    def set_text(self, text: str, *, short: str = "") -> None:
        """
        Args:
            short: takes the text's place where that doesn't fit.
        """
        self._whole, self._short = text, short
        self._fit()

    def event(self, event: QEvent | None) -> bool:
        handled = super().event(event)
        if event is not None and event.type() in (QEvent.Type.Resize, QEvent.Type.FontChange):
            self._fit()
        return handled

    def _fit(self) -> None:
        metrics = self.fontMetrics()
        text = self._short if self._short and metrics.horizontalAdvance(self._whole) > self.width() else self._whole
        shown = metrics.elidedText(text, Qt.TextElideMode.ElideMiddle, self.width())
        self.setText(shown)
        self.setToolTip(self._whole if shown != self._whole else "")
