"""Controls for a value: sliders and choices."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent, QWheelEvent
from PyQt6.QtWidgets import QComboBox, QHBoxLayout, QSlider, QWidget

from gui.look import theme
from gui.widgets.buttons import Chip
from gui.widgets.labels import label

_METRICS = theme.DARK.metrics  # the same in every theme
_STEPS = 100  # of a slider from 0 to 1


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
