"""What ``?`` shows: every key, and what the colours mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PyQt6.QtCore import QRectF, Qt
from PyQt6.QtGui import QKeySequence, QLinearGradient, QPainter, QPaintEvent
from PyQt6.QtWidgets import QDialog, QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from gui.look import theme
from gui.widgets import SidePanel, label
from gui.workspace import Shortcut
from tracker.version import fewmark_version

_WIDTH, _HEIGHT = 520, 620  # px
_LEGEND_HEIGHT = 12  # px
_KEYS_WIDTH = 110  # px, so that all groups have one left edge


class HelpPage(QDialog):
    """Not modal: it may stay open beside the window."""

    def __init__(self, groups: Mapping[str, Sequence[Shortcut]], parent: QWidget | None = None) -> None:
        """
        Args:
            groups: heading -> keys.
        """
        super().__init__(parent)
        self.setWindowTitle("Fewmark: keys and colours")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        panel = SidePanel(width=None)
        column.addWidget(panel)
        for title, shortcuts in groups.items():
            if listed := [shortcut for shortcut in shortcuts if shortcut.text]:
                panel.add_section(title, _key_table(listed))
        panel.add_section(
            "Colours of confidence",
            ConfidenceLegend(),
            _paragraph(
                "How sure the model is of a landmark: the share of its heatmap that lies around the peak. A covered "
                "part of the face gets little."
            ),
        )
        panel.add_section(
            "About",
            _paragraph(
                f"Fewmark {fewmark_version()}. Free software under the GNU General Public License, version 3 or later. "
                "Everything is computed on this computer; no picture leaves it."
            ),
        )
        self.resize(_WIDTH, _HEIGHT)


class ConfidenceLegend(QWidget):
    """The colours of the overlay from 0 to 1."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.current().metrics.gap)
        row.addWidget(label("0", "dim"))
        row.addWidget(_Gradient(), 1)
        row.addWidget(label("1", "dim"))


class _Gradient(QWidget):
    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(_LEGEND_HEIGHT)
        self.setAccessibleName("dark violet: not confident; green; yellow: confident")

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        gradient = QLinearGradient(0, 0, self.width(), 0)
        last = len(theme.CONFIDENCE_COLOURS) - 1
        for i in range(0, last + 1, 15):
            gradient.setColorAt(i / last, theme.CONFIDENCE_COLOURS[i])
        painter.setBrush(gradient)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.drawRoundedRect(QRectF(self.rect()), 3, 3)
        painter.end()


def _key_table(shortcuts: Sequence[Shortcut]) -> QWidget:
    table = QWidget()
    grid = QGridLayout(table)
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setVerticalSpacing(theme.current().metrics.small_gap + 2)
    grid.setHorizontalSpacing(theme.current().metrics.section_gap)
    grid.setColumnMinimumWidth(0, _KEYS_WIDTH)
    grid.setColumnStretch(1, 1)
    for row, shortcut in enumerate(shortcuts):
        # The system's own names of the keys: Cmd instead of Ctrl on a Mac.
        name = QKeySequence(shortcut.key).toString(QKeySequence.SequenceFormat.NativeText)
        key = label(name, "key")
        key.setAlignment(Qt.AlignmentFlag.AlignCenter)
        grid.addWidget(key, row, 0, Qt.AlignmentFlag.AlignLeft)
        text = label(shortcut.text)
        text.setWordWrap(True)
        grid.addWidget(text, row, 1)
    return table


def _paragraph(text: str) -> QWidget:
    made = label(text, "dim")
    made.setWordWrap(True)
    return made
