"""The video workspace: the parts put together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import monotonic

from PyQt6.QtCore import QTimer
from PyQt6.QtWidgets import QHBoxLayout, QWidget

from gui.services import Action, Level, Services
from gui.settings.settings_schema import Settings
from gui.video.entry import Entry, Loaded
from gui.video.exporter import Exporter
from gui.video.library import Library
from gui.video.open_dialog import ask_for_recordings
from gui.video.side_panel import VideoPanel
from gui.video.stage import Stage
from gui.video.view_style import view_style
from gui.video.wording import hint_on, status_of
from gui.workspace import Shortcut, Workspace
from tracker.batch.progress import TaskStatus
from tracker.batch.results import ResultsBuilder
from tracker.playback.viewer import Picture, ViewStyle

_GROWING_MS = 500  # results of a task that runs are shown this often
_STATUS_MS = 500


class VideoWorkspace(Workspace):
    """Recordings are opened into a list; the one that is chosen is shown, and processed when the user wishes."""

    title = "Video"
    opens_files = True

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self.library = Library(services, self)
        self.stage = Stage()
        self.panel = VideoPanel(services)
        self._chosen: int | None = None  # number of the entry that is shown
        self._drawn: tuple[Loaded | None, ResultsBuilder | None] = (None, None)  # what the results shown come from
        self._task: TaskStatus | None = None  # what runs in the background
        self.exporter = Exporter(services, self.library, self.stage, chosen=lambda: self._entry, parent=self)
        self._growing = QTimer(self)
        self._growing.setInterval(_GROWING_MS)
        self._status = QTimer(self)
        self._status.setInterval(_STATUS_MS)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self.stage, 1)
        row.addWidget(self.panel)
        self._connect()
        self._on_settings(services.settings.current)
        self._show_nothing()

    # What the main window asks.

    def activate(self) -> None:
        self._status.start()
        self._tell_status()

    def deactivate(self) -> None:
        self._status.stop()
        self.stage.pause()

    def request_end(self) -> None:
        for timer in (self._growing, self._status):
            timer.stop()
        self.library.request_end()
        self.stage.request_end()
        self.exporter.request_end()

    def join(self, timeout_s: float) -> bool:
        deadline = monotonic() + timeout_s
        ended = [part.join(max(deadline - monotonic(), 0.0)) for part in (self.exporter, self.stage, self.library)]
        return all(ended)

    def shortcuts(self) -> Sequence[Shortcut]:
        stage = self.stage
        return (
            Shortcut("Ctrl+O", "Open recordings", self.ask_what_to_open),
            Shortcut("Space", "Play or pause", stage.toggle_playing),
            Shortcut("Left", "One frame back", lambda: stage.step(-1), repeats=True),
            Shortcut("Right", "One frame forward", lambda: stage.step(1), repeats=True),
            Shortcut("Shift+Left", "One second back", lambda: stage.skip(-1.0), repeats=True),
            Shortcut("Shift+Right", "One second forward", lambda: stage.skip(1.0), repeats=True),
            Shortcut("Home", "To the first frame", lambda: stage.go_to_end(last=False)),
            Shortcut("End", "To the last frame", lambda: stage.go_to_end(last=True)),
            Shortcut("N", "To the next least confident moment", lambda: stage.go_to_doubtful(1)),
            Shortcut("Shift+N", "To the one before", lambda: stage.go_to_doubtful(-1)),
            Shortcut("L", "Loop, or not", self._toggle_loop),
            Shortcut("P", "Process, or stop processing", self._process_or_stop),
            Shortcut("Ctrl+E", "Export", self.exporter.ask),
            Shortcut("S", "Save this frame as an image", self.exporter.save_frame),
            *self.panel.overlays.shortcuts(),
        )

    def open_inputs(self, inputs: Sequence[str]) -> None:
        first = self.library.open(inputs)
        if first is not None:
            self.panel.playlist.choose(first)

    def ask_what_to_open(self) -> None:
        """A dialog for files; folders are dropped, or named on the command line."""
        names = ask_for_recordings(self, self._services.settings.current.video.last_folder)
        if names:
            self._services.settings.update("video", last_folder=Path(names[0]).parent)
            self.open_inputs(names)

    # Between the parts.

    def _connect(self) -> None:
        panel, stage, library, exporter = self.panel, self.stage, self.library, self.exporter
        panel.playlist.chosen.connect(self._choose)
        panel.playlist.remove_wanted.connect(library.remove)
        panel.open_wanted.connect(self.ask_what_to_open)
        panel.process_wanted.connect(self._process_or_stop)
        panel.process_all_wanted.connect(lambda: library.process(self._unprocessed()))
        panel.folder_wanted.connect(exporter.pick_folder)
        panel.folder_shown.connect(exporter.show_folder)
        panel.export_wanted.connect(exporter.ask)
        panel.frame_wanted.connect(exporter.save_frame)
        library.added.connect(lambda number: panel.playlist.add(library.entries[number]))
        library.changed.connect(self._on_entry)
        library.removed.connect(self._on_removed)
        library.task_changed.connect(self._on_task)
        stage.shown.connect(self._on_shown)
        stage.failed.connect(self._on_failed)
        stage.opened.connect(lambda _: self._show_results())
        stage.pointer.landmark_chosen.connect(panel.overlays.choose_landmark)
        panel.faces.face_chosen.connect(stage.look_closer)
        stage.speed_wanted.connect(lambda speed: self._update(speed=speed))
        stage.loop_wanted.connect(lambda loop: self._update(loop=loop))
        self._growing.timeout.connect(self._show_growing)
        self._status.timeout.connect(self._tell_status)
        self._services.settings.changed.connect(self._on_settings)

    @property
    def _entry(self) -> Entry | None:
        return self.library.get(self._chosen)

    def _update(self, **changes: object) -> None:
        self._services.settings.update("video", **changes)

    def _choose(self, number: int) -> None:
        if number == self._chosen:
            return
        self._chosen = number
        entry = self.library.entries[number]
        self.stage.open(entry.path, entry.selection.film_rate, self._style())
        self.stage.show_message(f"Opening {entry.name} ...")
        self._show_entry()

    def _show_nothing(self) -> None:
        self._chosen = None
        self.stage.close_recording()
        self.stage.show_message(
            "Drop videos or folders of images here, or open them.", Action("Open ...", self.ask_what_to_open)
        )
        self._show_entry()

    def _show_entry(self) -> None:
        entry = self._entry
        self.panel.show_entry(entry, len(self._unprocessed()))
        self.stage.timeline.set_hint(hint_on(entry))
        growing = entry is not None and entry.is_being_processed
        if growing != self._growing.isActive():
            if growing:
                self._growing.start()
            else:
                self._growing.stop()
        if entry is None:
            self.panel.faces.show_faces((), {}, nothing="Open a recording first.")

    def _show_results(self) -> None:
        entry = self._entry
        if entry is None:
            return
        self._drawn = (entry.loaded, entry.growing)
        moments = entry.loaded.moments if entry.loaded is not None and entry.growing is None else ()
        self.stage.show_results(entry.results, moments)
        self.stage.set_style(self._style())

    def _show_growing(self) -> None:
        if self.isVisible():
            self._show_results()

    def _style(self) -> ViewStyle:
        return view_style(self._services, self._entry)

    # What the user does.

    def _process_or_stop(self) -> None:
        entry = self._entry
        if entry is None or entry.problem:
            return
        if entry.is_being_processed:
            self.library.stop(entry.number)
        else:
            self.library.process([entry.number])

    def _unprocessed(self) -> list[int]:
        entries = self.library.entries.values()
        return [e.number for e in entries if e.loaded is None and not (e.loading or e.is_being_processed or e.problem)]

    def _toggle_loop(self) -> None:
        self._update(loop=not self._services.settings.current.video.loop)

    # What the parts tell.

    def _on_entry(self, number: int) -> None:
        entry = self.library.entries[number]
        self.panel.playlist.show_entry(entry)
        if number == self._chosen and self._drawn != (entry.loaded, entry.growing):
            self._show_results()
        self._show_entry()

    def _on_removed(self, number: int) -> None:
        if number == self._chosen:
            self._show_nothing()
        self.panel.playlist.remove(number)  # chooses another, if there is one

    def _on_task(self, status: TaskStatus) -> None:
        self._task = None if status.has_ended else status
        self._tell_status()

    def _on_shown(self, picture: Picture) -> None:
        result = picture.result
        nothing = "Not tracked yet." if result is None else "No face in this frame."
        self.panel.faces.show_faces(result.faces if result is not None else (), picture.crops, nothing=nothing)

    def _on_failed(self, message: str) -> None:
        entry = self._entry
        if entry is not None and self.stage.picture is None:
            self.library.mark_broken(entry.number, message)
            self.stage.show_message(message)
        else:
            self._services.notify(message, Level.ERROR)

    def _on_settings(self, settings: Settings) -> None:
        self.stage.set_playing_style(settings.video.speed, settings.video.loop)
        self.stage.set_style(self._style())
        self._show_entry()

    def _tell_status(self) -> None:
        stage = self.stage
        rate, opening = stage.shown_rate.rate if stage.is_playing else None, stage.is_opening_network
        self.status_changed.emit(status_of(self._entry, self._task, stage.picture, rate, is_opening_network=opening))
