"""What leaves the video workspace as files: exports, single frames, and the folder where results lie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PyQt6.QtCore import QObject
from PyQt6.QtWidgets import QFileDialog, QWidget

from gui.services import Level, Services
from gui.show_in_folder import show_in_folder
from gui.video.entry import Entry, results_folder
from gui.video.export_dialog import ExportDialog
from gui.video.frame_saver import FrameSaver
from gui.video.library import Library
from gui.video.stage import Stage
from gui.video.view_style import view_style
from tracker.batch.export import ExportChoice
from tracker.playback.viewer import ViewStyle


class Exporter(QObject):
    """Asks what is wanted of the recording that is chosen, and has it made."""

    def __init__(
        self,
        services: Services,
        library: Library,
        stage: Stage,
        *,
        chosen: Callable[[], Entry | None],
        parent: QWidget,
    ) -> None:
        """
        Args:
            chosen: gives the recording that is shown.
            parent: of the dialogs.
        """
        super().__init__(parent)
        self._services, self._library, self._stage, self._chosen, self._parent = (
            services,
            library,
            stage,
            chosen,
            parent,
        )
        self._saver = FrameSaver(services, self)
        self.dialog: ExportDialog | None = None  # once it was shown
        services.settings.changed.connect(self._show_overlays)

    def ask(self) -> None:
        """Shows the dialog, if there are results."""
        entry, folder = self._chosen(), self._results_folder()
        if entry is None or entry.loaded is None or folder is None:
            self._services.notify("There is nothing to export yet; process the recording first.", Level.INFO)
            return
        if self.dialog is None:
            self.dialog = ExportDialog(self._parent)
            self.dialog.export_wanted.connect(self.export)
        self.dialog.show_recording(entry.name, entry.loaded.stem, folder)
        self._show_overlays()
        self.dialog.show()
        self.dialog.raise_()

    def export(self, choice: ExportChoice, folder: Path) -> None:
        """Makes the files in the background, drawn as the window draws."""
        entry = self._chosen()
        if entry is not None:
            style = self._style()
            self._library.export(entry.number, replace(choice, overlays=style.overlays), folder, style.context)

    def save_frame(self) -> None:
        """Saves the picture that is shown."""
        picture, folder, entry = self._stage.picture, self._results_folder(), self._chosen()
        if picture is not None and folder is not None and entry is not None:
            self._saver.save(picture, folder, entry.path.stem)

    def pick_folder(self) -> None:
        """Asks for another folder for results."""
        chosen = QFileDialog.getExistingDirectory(self._parent, "Folder for results")
        if chosen:
            self._services.settings.update("video", results_folder=Path(chosen))

    def show_folder(self) -> None:
        """Opens the folder of the results in the file manager."""
        folder = self._results_folder()
        if folder is not None and folder.is_dir():
            show_in_folder(folder)
        else:
            self._services.notify("There are no results yet; process the recording first.", Level.INFO)

    def request_end(self) -> None:
        """Closes the dialog; an image that is being written is completed."""
        if self.dialog is not None:
            self.dialog.close()
        self._saver.request_end()

    def join(self, timeout_s: float) -> bool:
        """Waits for the end of the thread; whether it has ended within ``timeout_s``."""
        return self._saver.join(timeout_s)

    def _results_folder(self) -> Path | None:
        entry = self._chosen()
        return results_folder(entry, self._services.settings.current.video) if entry is not None else None

    def _style(self) -> ViewStyle:
        return view_style(self._services, self._chosen())

    def _show_overlays(self) -> None:
        if self.dialog is not None:
            self.dialog.show_overlays(self._style().overlays)
