"""The list of open recordings: what each is called, and how far its processing is."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import QListWidget, QListWidgetItem, QProgressBar, QVBoxLayout, QWidget

from gui.look import theme
from gui.video.entry import Entry
from gui.video.wording import state_of
from gui.widgets import ElidedLabel, restyle
from tracker.batch.progress import TaskState

_MOST_ROWS = 6  # shown without scrolling
_NUMBER = Qt.ItemDataRole.UserRole


class Playlist(QListWidget):
    """One row a recording; the row that is chosen is the recording that is shown."""

    chosen = pyqtSignal(int)  # number of the entry
    remove_wanted = pyqtSignal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._items: dict[int, QListWidgetItem] = {}
        self.setAccessibleName("Open recordings")
        self.setProperty("list", "plain")
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.currentItemChanged.connect(self._on_chosen)
        self._fit()

    def add(self, entry: Entry) -> None:
        item = QListWidgetItem()
        item.setData(_NUMBER, entry.number)
        self._items[entry.number] = item
        self.addItem(item)
        row = _Row()
        self.setItemWidget(item, row)
        self.show_entry(entry)
        item.setSizeHint(QSize(0, row.sizeHint().height()))
        self._fit()

    def show_entry(self, entry: Entry) -> None:
        item = self._items[entry.number]
        row = self.itemWidget(item)
        if isinstance(row, _Row):
            row.show_entry(entry)
            item.setData(Qt.ItemDataRole.AccessibleTextRole, f"{entry.name}, {row.state}")
            item.setToolTip(f"{entry.path}\n{row.state}")

    def remove(self, number: int) -> None:
        item = self._items.pop(number)
        self.takeItem(self.row(item))
        self._fit()

    def choose(self, number: int) -> None:
        self.setCurrentItem(self._items[number])

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        keys = (Qt.Key.Key_Delete, Qt.Key.Key_Backspace)
        if event is not None and event.key() in keys and (item := self.currentItem()) is not None:
            self.remove_wanted.emit(item.data(_NUMBER))
        elif event is not None and event.key() in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            super().keyPressEvent(event)
        elif event is not None:
            event.ignore()  # all others belong to the workspace: the list would search for names with them

    def _on_chosen(self, item: QListWidgetItem | None) -> None:
        if item is not None:
            self.chosen.emit(item.data(_NUMBER))

    def _fit(self) -> None:
        """As high as its rows, up to a limit."""
        heights = [self.sizeHintForRow(i) for i in range(min(self.count(), _MOST_ROWS))]
        self.setFixedHeight(sum(heights) + 2 * self.frameWidth())
        self.setVisible(self.count() > 0)


class _Row(QWidget):
    def __init__(self) -> None:
        super().__init__()
        self.state = ""
        self._name = ElidedLabel()
        self._state = ElidedLabel(role="dim")
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setFixedHeight(4)
        policy = self._bar.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self._bar.setSizePolicy(policy)
        metrics = theme.current().metrics
        column = QVBoxLayout(self)
        column.setContentsMargins(metrics.gap, 6, metrics.gap, 4)
        column.setSpacing(2)
        for text in (self._name, self._state):
            text.setMinimumHeight(text.fontMetrics().height())  # elided labels may be squeezed: not these
        for widget in (self._name, self._state, self._bar):
            column.addWidget(widget)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)

    def show_entry(self, entry: Entry) -> None:
        self.state, role = state_of(entry)
        self._name.set_text(entry.name)
        self._state.set_text(self.state)
        restyle(self._state, "role", role)
        task = entry.task
        running = task is not None and task.state is TaskState.RUNNING
        self._bar.setVisible(running)
        if running and task is not None:
            share = task.share
            self._bar.setRange(0, 0 if share is None and not task.frames else 1000)
            self._bar.setValue(round(1000 * (share or 0.0)))
