"""The window's top: tabs on the left; model, engine, settings and help on the right."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QButtonGroup, QFrame, QHBoxLayout, QLabel, QPushButton, QWidget

from gui.look import theme
from gui.look.icon_set import application_icon
from gui.settings.model_chooser import AUTO, BACKEND_TITLES, ModelChooser
from gui.widgets import Choice, IconButton, label
from models.registry import MODELS

_OPEN_FILE = "\0file"  # no name of a model and no path
_MODEL_TIP = "Model: the network that finds the landmarks"
_LOGO = 22  # px


class TopBar(QFrame):
    """Says what the user wants."""

    tab_chosen = pyqtSignal(str)
    model_chosen = pyqtSignal(str)
    backend_chosen = pyqtSignal(str)
    model_file_wanted = pyqtSignal()
    settings_wanted = pyqtSignal()
    help_wanted = pyqtSignal()

    def __init__(self, tabs: Sequence[str], models: ModelChooser, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._models = models
        self._running_backend = ""
        self.setProperty("ground", "bar")
        self.setProperty("line", "bottom")
        metrics = theme.current().metrics
        self.setFixedHeight(metrics.bar_height)
        row = QHBoxLayout(self)
        row.setContentsMargins(metrics.margin, 0, metrics.margin, 0)
        row.setSpacing(metrics.gap)
        logo = QLabel()
        logo.setPixmap(application_icon().pixmap(_LOGO, _LOGO))
        row.addWidget(logo)
        row.addSpacing(metrics.small_gap)
        self._tabs = self._make_tabs(tabs, row)
        row.addStretch(1)
        self._model = Choice(_MODEL_TIP, characters=14)
        self._engine = Choice("Engine: what runs the network", characters=20)
        for text, choice in (("Model", self._model), ("Engine", self._engine)):
            caption = label(text, "dim")
            caption.setBuddy(choice)
            row.addWidget(caption)
            row.addWidget(choice)
            row.addSpacing(metrics.gap)
        self._model.chosen.connect(self._on_model)
        self._engine.chosen.connect(self.backend_chosen)
        for icon_name, tip, signal in (
            ("settings", "Settings", self.settings_wanted),
            ("help", "Keys and colours (?)", self.help_wanted),
        ):
            button = IconButton(icon_name, tip)
            button.clicked.connect(signal)
            row.addWidget(button)
        models.changed.connect(self._refresh)
        self._refresh()

    def show_tab(self, title: str) -> None:
        """Marks a tab as the one in front."""
        for button in self._tabs.buttons():
            if button.text() == title:
                button.setChecked(True)

    def show_backend(self, backend: str) -> None:
        """Tells which backend really runs."""
        if backend != self._running_backend:
            self._running_backend = backend
            self._refresh()

    def _make_tabs(self, titles: Sequence[str], row: QHBoxLayout) -> QButtonGroup:
        group = QButtonGroup(self)
        for number, title in enumerate(titles, start=1):
            button = QPushButton(title)
            button.setProperty("kind", "tab")
            button.setCheckable(True)
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.setToolTip(f"Ctrl+{number}")
            button.clicked.connect(partial(self._on_tab, title))
            group.addButton(button)
            row.addWidget(button)
        return group

    def _on_tab(self, title: str, _checked: bool = True) -> None:
        self.tab_chosen.emit(title)

    def _refresh(self) -> None:
        self._model.set_choices({**self._models.model_choices(), _OPEN_FILE: "Model file ..."}, self._models.model)
        is_file = self._models.model not in MODELS
        self._model.setToolTip(f"Model file {self._models.model}" if is_file else _MODEL_TIP)
        engines = self._models.backend_choices()
        if self._running_backend and self._models.backend == AUTO:
            engines[AUTO] += f" ({BACKEND_TITLES.get(self._running_backend, self._running_backend)})"
        self._engine.set_choices(engines, self._models.backend)

    def _on_model(self, model: str) -> None:
        if model == _OPEN_FILE:
            self._model.set_value(self._models.model)
            self.model_file_wanted.emit()
        else:
            self.model_chosen.emit(model)
