"""What holds other controls: side panels, their sections, rows of lists."""

from __future__ import annotations

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent, QMouseEvent
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from gui.look import theme
from gui.widgets.labels import label, restyle

_METRICS = theme.DARK.metrics  # the same in every theme


class SidePanel(QScrollArea):
    """A column of sections that scrolls where the window is low."""

    def __init__(self, *, width: int | None = _METRICS.panel_width, parent: QWidget | None = None) -> None:
        """
        Args:
            width: px; None: what its layout gives it.
        """
        super().__init__(parent)
        self._inner = QWidget()
        self._column = QVBoxLayout(self._inner)
        self._column.setContentsMargins(_METRICS.margin, _METRICS.margin, _METRICS.margin, _METRICS.margin)
        self._column.setSpacing(_METRICS.section_gap)
        self._column.addStretch(1)
        self.setWidget(self._inner)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        if width is not None:
            self.setFixedWidth(width)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setProperty("ground", "panel")

    def add_section(self, title: str, *widgets: QWidget, control: QWidget | None = None) -> QVBoxLayout:
        """A heading with widgets under it; returns their layout."""
        section = QVBoxLayout()
        section.setSpacing(_METRICS.gap)
        section.addWidget(SectionHeader(title, control))
        for widget in widgets:
            section.addWidget(widget)
        self._column.insertLayout(self._column.count() - 1, section)
        return section


class SectionHeader(QWidget):
    """The heading of a part of a side panel, with room for a control at its right end."""

    def __init__(self, text: str, control: QWidget | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(label(text.upper(), "section"), 1)
        if control is not None:
            row.addWidget(control)


class FaceRow(QFrame):
    """A row of the list of faces: put what it shows into ``content``. Chosen by a click, Enter or Space."""

    clicked = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("row", "face")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.content = QHBoxLayout(self)
        self.content.setContentsMargins(_METRICS.gap, 6, _METRICS.gap, 6)
        self.content.setSpacing(_METRICS.gap)

    def set_chosen(self, chosen: bool) -> None:
        restyle(self, "chosen", "true" if chosen else "false")

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self.clicked.emit()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event is not None and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.clicked.emit()
        else:
            super().keyPressEvent(event)
