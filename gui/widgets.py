"""The window's own controls. Their colours come from the style sheet, by property."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from PyQt6.QtCore import QEvent, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent, QMouseEvent, QWheelEvent
from PyQt6.QtWidgets import (
    QAbstractButton,
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QSlider,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from gui import theme
from gui.icon_set import icon

_METRICS = theme.DARK.metrics  # the same in every theme
_STEPS = 100  # of a slider from 0 to 1


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


def _wear_icon(button: QAbstractButton, name: str, colour: str) -> None:
    button.setIcon(icon(name, colour))
    button.setIconSize(QSize(_METRICS.icon, _METRICS.icon))


class Button(QPushButton):
    """A button with text, and an icon if it is given one.

    Args of the constructor:
        icon_name: of ``gui/icons``.
        kind: "" (plain), "primary" (the one obvious next step of a page) or "quiet" (no frame until pointed at).
    """

    def __init__(
        self, text: str, *, icon_name: str = "", kind: str = "", tip: str = "", parent: QWidget | None = None
    ) -> None:
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


class SectionHeader(QWidget):
    """The heading of a part of a side panel, with room for a control at its right end."""

    def __init__(self, text: str, control: QWidget | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(label(text.upper(), "section"), 1)
        if control is not None:
            row.addWidget(control)


class Slider(QSlider):
    """A horizontal slider that lets the wheel scroll its panel unless it has the keyboard."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        if self.hasFocus():
            super().wheelEvent(event)
        elif event is not None:
            event.ignore()


class LabelledSlider(QWidget):
    """A name, a slider and its value."""

    value_changed = pyqtSignal(float)  # by the user, while dragging

    def __init__(
        self,
        text: str,
        *,
        minimum: float = 0.0,
        maximum: float = 1.0,
        step: float = 0.01,
        value: float = 0.0,
        show: Callable[[float], str] = "{:.0%}".format,
        tip: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._minimum, self._step, self._show = minimum, step, show
        self._slider = Slider()
        self._slider.setRange(0, round((maximum - minimum) / step))
        self._slider.setPageStep(max(1, self._slider.maximum() // 10))
        self._slider.setAccessibleName(text)
        self._value = label(role="dim")
        self._value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._value.setMinimumWidth(self._value.fontMetrics().horizontalAdvance("100 %") + 2)
        self.setToolTip(tip)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(_METRICS.gap)
        if text:
            row.addWidget(label(text))
        row.addWidget(self._slider, 1)
        row.addWidget(self._value)
        self.set_value(value)
        self._slider.valueChanged.connect(self._on_moved)

    @property
    def value(self) -> float:
        return self._minimum + self._slider.value() * self._step

    def set_value(self, value: float) -> None:
        """Shows a value without saying that the user changed it."""
        blocked = self._slider.blockSignals(True)
        self._slider.setValue(round((value - self._minimum) / self._step))
        self._slider.blockSignals(blocked)
        self._value.setText(self._show(self.value))

    def _on_moved(self) -> None:
        self._value.setText(self._show(self.value))
        self.value_changed.emit(self.value)


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


class OpacityChip(QWidget):
    """A chip, and beside it how strongly what it switches on is drawn."""

    toggled = pyqtSignal(bool)
    opacity_changed = pyqtSignal(float)  # 0..1, by the user, while dragging

    def __init__(
        self, text: str, *, tip: str = "", on: bool = False, opacity: float = 1.0, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.chip = Chip(text, tip=tip, on=on)
        self._slider = Slider()
        self._slider.setRange(0, _STEPS)
        self._slider.setAccessibleName(f"opacity of {text}")
        self._slider.setToolTip(f"Opacity of {text}")
        self.set_opacity(opacity)
        self._slider.setEnabled(on)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(_METRICS.gap)
        row.addWidget(self.chip)
        row.addWidget(self._slider, 1)
        self.chip.toggled.connect(self._slider.setEnabled)
        self.chip.toggled.connect(self.toggled)
        self._slider.valueChanged.connect(lambda steps: self.opacity_changed.emit(steps / _STEPS))

    def set_on(self, on: bool) -> None:
        self.chip.setChecked(on)

    def set_opacity(self, opacity: float) -> None:
        """Shows a value without saying that the user changed it."""
        blocked = self._slider.blockSignals(True)
        self._slider.setValue(round(opacity * _STEPS))
        self._slider.blockSignals(blocked)


class Choice(QComboBox):
    """A choice among named values; long titles are cut, not the window widened."""

    chosen = pyqtSignal(str)  # the value, by the user

    def __init__(self, tip: str = "", *, characters: int = 12, parent: QWidget | None = None) -> None:
        """
        Args:
            characters: room for so many of a title.
        """
        super().__init__(parent)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(characters)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setToolTip(tip)
        self.setAccessibleName(tip)
        self.activated.connect(lambda index: self.chosen.emit(str(self.itemData(index))))

    def set_choices(self, choices: Mapping[str, str], value: str) -> None:
        """Offers values with their titles, and shows one of them as chosen."""
        if choices != {self.itemData(i): self.itemText(i) for i in range(self.count())}:
            self.clear()
            for key, title in choices.items():
                self.addItem(title, key)
                self.setItemData(self.count() - 1, title, Qt.ItemDataRole.ToolTipRole)
        self.set_value(value)

    def set_value(self, value: str) -> None:
        """Shows a value without saying that the user chose it."""
        self.setCurrentIndex(self.findData(value))

    @property
    def value(self) -> str:
        data = self.currentData()
        return "" if data is None else str(data)

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        if event is not None:  # a wheel over a panel scrolls it
            event.ignore()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event is not None and event.text().isprintable() and event.text().strip():
            event.ignore()  # letters are the window's shortcuts
        else:
            super().keyPressEvent(event)


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


class ElidedLabel(QLabel):
    """One line of plain text, cut in the middle where it doesn't fit; the whole of it is the tip."""

    def __init__(self, text: str = "", role: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._whole = ""
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setProperty("role", role)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.set_text(text)

    def set_text(self, text: str) -> None:
        self._whole = text
        self._fit()

    def event(self, event: QEvent | None) -> bool:
        handled = super().event(event)
        if event is not None and event.type() in (QEvent.Type.Resize, QEvent.Type.FontChange):
            self._fit()
        return handled

    def _fit(self) -> None:
        shown = self.fontMetrics().elidedText(self._whole, Qt.TextElideMode.ElideMiddle, self.width())
        self.setText(shown)
        self.setToolTip(self._whole if shown != self._whole else "")
