"""Which files are to be made of a recording's results."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QCheckBox, QDialog, QFileDialog, QHBoxLayout, QVBoxLayout, QWidget

from gui.look import theme
from gui.widgets import Button, Choice, ElidedLabel, SectionHeader, label
from tracker.batch.export import ExportChoice, Stills

_WIDTH = 460  # px
_STILLS: dict[Stills, str] = {
    "none": "no still images",
    "least confident": "the least confident moments",
    "one a second": "one frame a second",
    "all": "every frame",
}


class ExportDialog(QDialog):
    """Not modal: the video can be played meanwhile, and its overlays changed."""

    export_wanted = pyqtSignal(object, object)  # ExportChoice, Path of the folder

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Fewmark: export")
        self._folder = Path()
        self._stem = ""
        self._overlays: tuple[str, ...] = ()
        self._name = ElidedLabel()
        self._video = QCheckBox("Video with overlays (MP4, with the sound)")
        self._video.setChecked(True)
        self._csv = QCheckBox("Table (CSV, OpenFace's columns)")
        self._jsonl = QCheckBox("JSON lines")
        self._stills = Choice("Still images with overlays", characters=24)
        self._stills.set_choices({key: text.capitalize() for key, text in _STILLS.items()}, "none")
        self._drawn = label(role="dim")
        self._drawn.setWordWrap(True)
        self._folder_label = ElidedLabel(role="dim")
        self._replaced = label(role="warning")
        self._replaced.setWordWrap(True)
        self._pick = Button("Choose ...", icon_name="folder")
        self._export = Button("Export", icon_name="export", kind="primary")
        self._cancel = Button("Cancel")
        self._lay_out()
        for box in (self._video, self._csv, self._jsonl):
            box.toggled.connect(self._refresh)
        self._stills.chosen.connect(self._refresh)
        self._pick.clicked.connect(self._pick_folder)
        self._cancel.clicked.connect(self.close)
        self._export.clicked.connect(self._on_export)

    def show_recording(self, name: str, stem: str, folder: Path) -> None:
        """The recording whose results are exported, and where to by default."""
        self._stem, self._folder = stem, folder
        self._name.set_text(name)
        self._refresh()

    def show_overlays(self, overlays: tuple[str, ...]) -> None:
        """What is drawn on videos and still images: what the window shows."""
        self._overlays = overlays
        self._refresh()

    @property
    def choice(self) -> ExportChoice | None:
        """What is chosen; None: nothing."""
        stills = next(key for key in _STILLS if key == self._stills.value)
        wanted = (self._csv.isChecked(), self._jsonl.isChecked(), self._video.isChecked())
        return ExportChoice(*wanted, stills, self._overlays) if any(wanted) or stills != "none" else None

    def _lay_out(self) -> None:
        metrics = theme.current().metrics
        column = QVBoxLayout(self)
        column.setContentsMargins(*[metrics.section_gap] * 4)
        column.setSpacing(metrics.gap)
        for widget in (SectionHeader("Export"), self._name, self._video, self._csv, self._jsonl, self._stills):
            column.addWidget(widget)
        column.addWidget(self._drawn)
        column.addSpacing(metrics.gap)
        column.addWidget(SectionHeader("Into"))
        folder = QHBoxLayout()
        folder.addWidget(self._folder_label, 1)
        folder.addWidget(self._pick)
        column.addLayout(folder)
        column.addWidget(self._replaced)
        column.addStretch(1)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(self._cancel)
        buttons.addWidget(self._export)
        column.addLayout(buttons)
        self.setMinimumWidth(_WIDTH)

    def _refresh(self) -> None:
        choice = self.choice
        self._export.setEnabled(choice is not None and bool(self._stem))
        drawn = ", ".join(name.replace("_", " ") for name in self._overlays) or "none"
        self._drawn.setText(f"Overlays as in the window: {drawn}.")
        self._drawn.setVisible(choice is not None and choice.draws)
        self._folder_label.set_text(str(self._folder))
        paths = choice.paths(self._folder, self._stem).values() if choice is not None else ()
        there = [path.name for path in paths if path.exists()]
        self._replaced.setText(f"Replaces {', '.join(there)}." if there else "")
        self._replaced.setVisible(bool(there))

    def _pick_folder(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Export into", str(self._folder))
        if chosen:
            self._folder = Path(chosen)
            self._refresh()

    def _on_export(self) -> None:
        if self.choice is not None:
            self.export_wanted.emit(self.choice, self._folder)
            self.close()
