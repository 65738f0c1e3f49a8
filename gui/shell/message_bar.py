"""Messages that stop nothing: a bar under the top of the window."""

from __future__ import annotations

from dataclasses import dataclass

from PyQt6.QtCore import QTimer
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QSizePolicy, QWidget

from gui.look import theme
from gui.look.icon_set import icon
from gui.services import Action, Level
from gui.widgets import Button, IconButton, label, restyle

_SHOWN_MS = 7000  # of what goes away by itself
_OFFERED_MS = 15_000  # the same with a button: time to reach it
_MOST_KEPT = 8
_COLOURS = {Level.INFO: "accent", Level.SUCCESS: "success", Level.WARNING: "warning", Level.ERROR: "error"}


@dataclass(frozen=True, slots=True)
class _Message:
    text: str
    level: Level
    action: Action | None


class MessageBar(QFrame):
    """Shows the newest message; closing it shows the one before. Implements ``services.Notify`` by ``notify``."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._messages: list[_Message] = []
        self._sign = QLabel()
        self._text = label()
        self._text.setWordWrap(True)
        self._text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._more = label(role="dim")
        self._button = Button("")
        self._button.clicked.connect(self._act)
        self._close = IconButton("close", "Close this message")
        self._close.clicked.connect(self.close_message)
        metrics = theme.current().metrics
        row = QHBoxLayout(self)
        row.setContentsMargins(metrics.margin, metrics.gap, metrics.gap, metrics.gap)
        row.setSpacing(metrics.margin)
        row.addWidget(self._sign)
        row.addWidget(self._text, 1)
        for widget in (self._more, self._button, self._close):
            row.addWidget(widget)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.close_message)
        theme.changes().changed.connect(self._show_newest)
        self.hide()

    @property
    def text(self) -> str:
        """What is shown; empty if nothing is."""
        return self._messages[-1].text if self._messages else ""

    def notify(self, text: str, level: Level = Level.INFO, action: Action | None = None) -> None:
        """See ``services.Notify``. What is shown already and said again is not shown twice."""
        self._messages = [message for message in self._messages if message.text != text and not _passes(message)]
        self._messages = [*self._messages, _Message(text, level, action)][-_MOST_KEPT:]
        self._show_newest()

    def close_message(self) -> None:
        """Takes the newest message away."""
        if self._messages:
            self._messages.pop()
        self._show_newest()

    def _act(self) -> None:
        message = self._messages[-1]
        self.close_message()
        if message.action is not None:
            message.action.run()

    def _show_newest(self) -> None:
        self._timer.stop()
        self.setVisible(bool(self._messages))
        if not self._messages:
            return
        message = self._messages[-1]
        restyle(self, "message", message.level.value)
        size = theme.current().metrics.icon
        self._sign.setPixmap(icon(message.level.value, _COLOURS[message.level]).pixmap(size, size))
        self._text.setText(message.text)
        self._text.setAccessibleName(f"{message.level.value}: {message.text}")
        earlier = len(self._messages) - 1
        self._more.setText(f"and {earlier} more" if earlier else "")
        self._more.setVisible(earlier > 0)
        self._button.setVisible(message.action is not None)
        self._button.setText(message.action.text if message.action else "")
        if _passes(message):
            self._timer.start(_SHOWN_MS if message.action is None else _OFFERED_MS)


def _passes(message: _Message) -> bool:
    """Whether it goes away by itself; what the user may have to act on stays."""
    return message.level is Level.SUCCESS or (message.level is Level.INFO and message.action is None)
