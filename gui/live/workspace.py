"""The live workspace: the parts put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PyQt6.QtCore import QTimer
from PyQt6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from gui.canvas.close_up import CloseUp
from gui.canvas.pointer import Pointer
from gui.canvas.video_canvas import VideoCanvas
from gui.live.control_bar import ControlBar
from gui.live.event_teller import EventTeller
from gui.live.face_panel import FacePanel
from gui.live.figures import Figures
from gui.live.requests import default_folder, live_config, recording_plan
from gui.live.source_controller import SourceController
from gui.live.source_panel import SourcePanel
from gui.live.wording import size_and_rate, status_of, why_no_faces
from gui.panels.overlay_panel import OverlayPanel
from gui.services import Level, Services
from gui.settings.settings_schema import Settings
from gui.tracker_bridge import LiveBridge
from gui.widgets import SidePanel
from gui.workspace import Shortcut, Workspace
from models.errors import FewmarkError
from models.landmark_schemes import LandmarkScheme
from tracker.live import EventKind, LiveConfig, LiveEvent, LivePicture
from tracker.types import TrackingResult

_STATUS_MS = 500

BridgeMaker = Callable[[LiveConfig], LiveBridge]


class LiveWorkspace(Workspace):
    """Shows a source with its faces. It runs while it is shown, and goes on alone while it records."""

    title = "Live"

    def __init__(
        self, services: Services, *, make_bridge: BridgeMaker = LiveBridge, parent: QWidget | None = None
    ) -> None:
        """
        Args:
            make_bridge: tests give their own cameras.
        """
        super().__init__(parent)
        self._services = services
        self.bridge = make_bridge(live_config(services.settings.current))
        self.canvas = VideoCanvas()
        self.controls = ControlBar(services.settings.current.live.plot_seconds)
        self._face_panel = FacePanel(services)
        self.faces = self._face_panel.faces
        self.panel = SidePanel()
        self.figures = Figures()
        self.picture: LivePicture | None = None  # the one that is shown
        self._close_up = CloseUp(self.canvas)
        self._loading = ""  # what a tracker that is being made waits for
        self._plot_seconds = services.settings.current.live.plot_seconds
        self._timer = QTimer(self)
        self._timer.setInterval(_STATUS_MS)
        self.source_panel = SourcePanel()
        self.source = SourceController(services, self.bridge, self.source_panel, self)
        self._teller = EventTeller(
            self.canvas, services, start=self.source.start, retry=self.bridge.session.load_tracker
        )
        self._add_sections()
        self._lay_out()
        self._connect()
        self._on_settings(services.settings.current)

    # What the main window asks.

    def activate(self) -> None:
        self.bridge.watch_cameras()
        self._timer.start()
        if self._services.settings.current.live.start_at_once and self.picture is None:
            self.source.wants_to_run = True
        self.source.resume()
        if not self.source.is_running:
            self.bridge.session.load_tracker()  # it is there by the time the video starts
        if not self.source.wants_to_run:
            self._teller.offer_start()
        self._tell_why_no_faces()
        self._tell_status()

    def deactivate(self) -> None:
        self.bridge.ignore_cameras()
        if not self.bridge.session.is_recording:
            self.source.pause()
            self._timer.stop()

    def request_end(self) -> None:
        self._timer.stop()
        self.bridge.request_end()

    def join(self, timeout_s: float) -> bool:
        return self.bridge.join(timeout_s)

    def shortcuts(self) -> Sequence[Shortcut]:
        return (
            Shortcut("Space", "Start or stop the video", self.toggle_running),
            Shortcut("Ctrl+R", "Start or complete a recording", self.toggle_recording),
            Shortcut("S", "Save a snapshot", self.save_snapshot),
            Shortcut("M", "Mirror the video, or not", self._toggle_mirror),
            *self.overlays.shortcuts(),
            Shortcut("+", "Zoom in", lambda: self.canvas.zoom_by(1.25)),
            Shortcut("-", "Zoom out", lambda: self.canvas.zoom_by(0.8)),
            Shortcut("0", "Show the whole picture", self.canvas.reset_zoom),
        )

    def open_inputs(self, inputs: Sequence[str]) -> None:
        self.source.open(inputs)

    # What the user does.

    def toggle_running(self) -> None:
        """Starts the video, or stops it."""
        if self.source.wants_to_run:
            self.source.stop()
            self.figures.clear()
            self._teller.offer_start()
        else:
            self.source.start()
        self._show_state()

    def toggle_recording(self) -> None:
        """Starts a recording, or completes it."""
        session = self.bridge.session
        if session.is_recording:
            session.stop_recording()
        else:
            try:
                session.start_recording(recording_plan(self._services.settings.current.recording))
            except FewmarkError as error:
                self._services.notify(f"No recording: {error}.", Level.ERROR)
        self._show_state()

    def save_snapshot(self) -> None:
        """Saves the picture as it is shown."""
        if self.picture is None:
            self._services.notify("There is no picture yet; start the video first.", Level.INFO)
            return
        folder = self._services.settings.current.recording.folder or default_folder()
        self.bridge.session.snapshot(self.picture.image, folder)

    def _toggle_mirror(self) -> None:
        self._update(mirror=not self._services.settings.current.live.mirror)

    def _look_closer(self, face_id: int) -> None:
        self._close_up.toggle(face_id, self.picture.tracked.result.faces if self.picture is not None else ())

    # What the session tells.

    def _on_started(self) -> None:
        self.figures.clear()
        self.controls.plot.clear()
        self.canvas.reset_zoom()
        self._show_state()

    def _on_picture(self) -> None:
        picture = self.bridge.session.take_picture()
        if picture is None:
            return
        self.picture = picture
        self.canvas.show_image(picture.image, panes=picture.panes)
        if picture.is_new:
            result = picture.tracked.result
            self.controls.plot_faces(result.frame.time_s, {face.face_id: face.box.score for face in result.faces})
        if picture.crops is not None:
            self.faces.show_faces(picture.tracked.listed or (), picture.crops)

    def _tell_why_no_faces(self) -> None:
        """As long as no picture has been through a tracker."""
        if self.picture is not None and self.picture.tracked.tracker is not None:
            return
        self.faces.show_faces((), {}, nothing=why_no_faces(self.bridge.session))

    def _shown_result(self) -> TrackingResult | None:
        return self.picture.tracked.result if self.picture is not None else None

    def _shown_scheme(self) -> LandmarkScheme | None:
        facts = self.picture.tracked.tracker if self.picture is not None else None
        return facts.scheme if facts is not None else None

    def _on_painted(self) -> None:
        if self.picture is not None and self.picture.is_new:
            self.figures.painted(self.picture.tracked.captured_s)

    def _on_events(self) -> None:
        for event in self.bridge.session.take_events():
            self._take(event)
        self._tell_why_no_faces()
        self._show_state()
        self._tell_status()

    def _take(self, event: LiveEvent) -> None:
        if event.kind is EventKind.TRACKER_LOADING:
            self._loading = event.text
        if event.kind is EventKind.TRACKER_READY:
            self._allow_overlays()
        if event.kind is EventKind.SOURCE_RUNNING and event.info is not None:
            self.source_panel.show_facts(size_and_rate(event.info))
        self._teller.tell(event)

    def _allow_overlays(self) -> None:
        facts = self.bridge.session.tracker
        if facts is not None:
            self.overlays.allow(facts.scheme, "", facts.why_no_reconstruction)

    def _on_settings(self, settings: Settings) -> None:
        self.bridge.session.configure(live_config(settings))
        self.source_panel.show_settings(settings.live)
        if settings.live.plot_seconds != self._plot_seconds:
            self._plot_seconds = settings.live.plot_seconds
            self.controls.plot.set_window(self._plot_seconds)

    def _show_state(self) -> None:
        session = self.bridge.session
        statistics = session.statistics()
        self.controls.show_running(self.source.wants_to_run)
        self.controls.show_recording(session.is_recording, statistics.recorded_s, statistics.recording_dropped)
        ready = session.is_capturing and session.tracker is not None
        self.controls.allow(record=ready or session.is_recording, snapshot=self.picture is not None)

    def _tell_status(self) -> None:
        self.status_changed.emit(status_of(self.bridge.session, self.figures, self._loading))

    # Making it.

    def _add_sections(self) -> None:
        self.panel.add_section("Source", self.source_panel)
        self.overlays = OverlayPanel(self._services.settings, "live", self.panel)
        self.panel.add_section("Faces", self._face_panel)

    def _lay_out(self) -> None:
        column = QVBoxLayout()
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.canvas, 1)
        column.addWidget(self.controls)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addLayout(column, 1)
        row.addWidget(self.panel)

    def _connect(self) -> None:
        self.bridge.picture_ready.connect(self._on_picture)
        self.bridge.events_ready.connect(self._on_events)
        self._timer.timeout.connect(self._on_events)
        self.source.started.connect(self._on_started)
        self.source.waiting.connect(self.canvas.show_message)
        self.canvas.painted.connect(self._on_painted)
        pointer = Pointer(self.canvas, result=self._shown_result, scheme=self._shown_scheme)
        pointer.landmark_chosen.connect(self.overlays.choose_landmark)
        self.controls.start_wanted.connect(self.toggle_running)
        self.controls.record_wanted.connect(self.toggle_recording)
        self.controls.snapshot_wanted.connect(self.save_snapshot)
        self.source_panel.size_wanted.connect(lambda width, height: self._update(width=width, height=height))
        self.source_panel.rate_wanted.connect(lambda rate: self._update(frame_rate=rate))
        self.source_panel.mirror_wanted.connect(lambda on: self._update(mirror=on))
        self.faces.face_chosen.connect(self._look_closer)
        self._services.settings.changed.connect(self._on_settings)

    def _update(self, **changes: object) -> None:
        self._services.settings.update("live", **changes)
