"""A message in the middle of a canvas."""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QFrame, QLabel, QVBoxLayout, QWidget

from gui.look import theme
from gui.services import Action
from gui.widgets import Button

_WIDTH = 440  # px at most


class CanvasNotice(QFrame):
    """A card with a message and at most one button; it stands in the middle of its parent."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setProperty("card", "true")
        self._label = QLabel()
        self._label.setTextFormat(Qt.TextFormat.PlainText)
        self._label.setWordWrap(True)
        self._label.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._button = Button("", kind="primary")
        self._button.clicked.connect(self._on_clicked)
        self._action: Action | None = None
        metrics = theme.current().metrics
        column = QVBoxLayout(self)
        column.setContentsMargins(metrics.section_gap, metrics.section_gap, metrics.section_gap, metrics.section_gap)
        column.setSpacing(metrics.margin)
        column.addWidget(self._label)
        column.addWidget(self._button, 0, Qt.AlignmentFlag.AlignHCenter)
        self.hide()

    @property
    def text(self) -> str:
        """What it says; empty while it is hidden."""
        return "" if self.isHidden() else self._label.text()

    def show_message(self, text: str, action: Action | None) -> None:
        """An empty text hides it."""
        self._action = action
        self._label.setText(text)
        self._button.setText(action.text if action else "")
        self._button.setVisible(action is not None)
        self.setVisible(bool(text))
        self.place()

    def place(self) -> None:
        """Call it when the parent's size has changed."""
        parent = self.parentWidget()
        if parent is not None:
            width = max(min(parent.width() - 32, _WIDTH), 1)
            column = self.layout()
            height = column.totalHeightForWidth(width) if column is not None else self.sizeHint().height()
            self.setGeometry((parent.width() - width) // 2, (parent.height() - height) // 2, width, height)

    def _on_clicked(self) -> None:
        if self._action is not None:
            self._action.run()
