"""The side panel of the video workspace: recordings, processing and export, overlays, faces."""

from __future__ import annotations

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QHBoxLayout, QWidget

from gui.look import theme
from gui.panels.face_list import FaceList
from gui.panels.overlay_panel import OverlayPanel
from gui.services import Services
from gui.video.entry import RESULTS_FOLDER, Entry, results_folder
from gui.video.playlist import Playlist
from gui.video.wording import note_on
from gui.widgets import Button, ElidedLabel, IconButton, SidePanel, label
from models.landmark_schemes import LandmarkScheme


class VideoPanel(SidePanel):
    """Shows what can be done with the recording that is chosen, and asks for it."""

    open_wanted = pyqtSignal()
    process_wanted = pyqtSignal()  # or stop, whichever the button says
    process_all_wanted = pyqtSignal()
    folder_wanted = pyqtSignal()  # another one for the results
    folder_shown = pyqtSignal()  # in the file manager
    export_wanted = pyqtSignal()
    frame_wanted = pyqtSignal()  # saved as an image

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent)
        self._services = services
        self.playlist = Playlist()
        self._none = label("No recording is open.", "dim")
        open_button = IconButton("open", "Open videos or image files (Ctrl+O)")
        open_button.clicked.connect(self.open_wanted)
        self.add_section("Recordings", self._none, self.playlist, control=open_button)
        self._add_processing()
        self._allowed: tuple[LandmarkScheme | None, str, str] | None = None  # as the overlays were told last
        self.overlays = OverlayPanel(services.settings, "video", self)
        self.faces = FaceList()
        self.add_section("Faces in this frame", self.faces)
        self.show_entry(None, 0)

    def show_entry(self, entry: Entry | None, unprocessed: int) -> None:
        """The recording that is chosen, and how many of the open ones have no results yet."""
        self._none.setVisible(entry is None)
        running = entry is not None and entry.is_being_processed
        done = entry is not None and entry.loaded is not None
        self._process.setText("Stop" if running else "Process again" if done else "Process")
        self._process.set_icon("stop" if running else "process")
        self._process.setEnabled(entry is not None and not entry.problem)
        self._process.setToolTip(
            "Stops; what was tracked so far is shown (P)" if running else "Tracks every frame in the background (P)"
        )
        self._process.set_kind("" if running or done else "primary")
        self._all.setVisible(unprocessed > 1)
        self._all.setText(f"Process all {unprocessed}")
        self._note.setText(note_on(entry))
        self._note.setVisible(bool(self._note.text()))
        self._export.setEnabled(done)
        self._frame.setEnabled(entry is not None and not entry.problem)
        self._show_folder(entry)
        self._allow_overlays(entry)

    def _add_processing(self) -> None:
        self._process = Button("Process", icon_name="process", kind="primary")
        self._all = Button("", tip="One after the other, in the background")
        self._note = label(role="dim")
        self._note.setWordWrap(True)
        self._folder = ElidedLabel(role="dim")
        show = IconButton("folder", "Show the folder of the results")
        change = IconButton("settings", "Choose another folder for results")
        self._process.clicked.connect(self.process_wanted)
        self._all.clicked.connect(self.process_all_wanted)
        show.clicked.connect(self.folder_shown)
        change.clicked.connect(self.folder_wanted)
        self._export = Button("Export ...", icon_name="export", tip="Annotated video, tables, still images (Ctrl+E)")
        self._frame = Button("Save frame", icon_name="snapshot", tip="This frame as it is shown, as a PNG image (S)")
        self._export.clicked.connect(self.export_wanted)
        self._frame.clicked.connect(self.frame_wanted)
        self.add_section(
            "Processing",
            _row(self._process, self._all),
            self._note,
            _row(self._folder, show, change),
            _row(self._export, self._frame),
        )

    def _show_folder(self, entry: Entry | None) -> None:
        settings = self._services.settings.current.video
        folder = results_folder(entry, settings) if entry is not None else settings.results_folder
        self._folder.set_text(f"Results: {folder}" if folder else f"Results: {RESULTS_FOLDER}, beside each recording")

    def _allow_overlays(self, entry: Entry | None) -> None:
        loaded = entry.loaded if entry is not None and entry.growing is None else None
        allowed: tuple[LandmarkScheme | None, str, str]
        if loaded is not None:
            allowed = (loaded.results.scheme, loaded.no_heatmaps, loaded.no_reconstructions)
        else:
            reason = "Process the recording first." if entry is not None else "Open a recording first."
            allowed = (None, reason, reason)
        if allowed != self._allowed:
            self._allowed = allowed
            self.overlays.allow(*allowed)


def _row(*widgets: QWidget) -> QWidget:
    """Side by side; the first takes the room that is left, as do buttons with text."""
    row_widget = QWidget()
    row = QHBoxLayout(row_widget)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(theme.current().metrics.small_gap)
    for place, widget in enumerate(widgets):
        row.addWidget(widget, 1 if place == 0 or isinstance(widget, Button) else 0)
    return row_widget
