"""The picture, its controls and the timeline under it: one recording, played."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtWidgets import QVBoxLayout, QWidget

from gui.canvas.close_up import CloseUp
from gui.canvas.pointer import Pointer
from gui.canvas.video_canvas import VideoCanvas
from gui.look import theme
from gui.plots.timeline import Timeline
from gui.services import Action
from gui.tracker_bridge import Doorbell
from gui.video.transport_bar import TransportBar
from models.landmark_schemes import LandmarkScheme
from tracker.batch.results import Moment, StoredResults
from tracker.live.mailbox import Mailbox, RateMeter
from tracker.playback.player import Failed, Opened
from tracker.playback.viewer import Picture, RecordingViewer, ViewerEvent, ViewStyle
from tracker.types import TrackingResult


class Stage(QWidget):
    """Shows one recording at a time. Opening the next one does not wait for the end of the last one's threads."""

    opened = pyqtSignal(object)  # Opened
    failed = pyqtSignal(str)  # why it can't be shown, or not any further
    shown = pyqtSignal(object)  # Picture
    speed_wanted = pyqtSignal(float)
    loop_wanted = pyqtSignal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.canvas = VideoCanvas()
        self.transport = TransportBar()
        self.timeline = Timeline()
        self.shown_rate = RateMeter()
        self._inbox: _Inbox | None = None
        self._viewer: RecordingViewer | None = None
        self._ending: list[RecordingViewer] = []
        self._time_s: NDArray[np.float64] = np.empty(0)
        self._picture: Picture | None = None
        self._scheme: LandmarkScheme | None = None  # of the results that are shown
        self._moments: tuple[Moment, ...] = ()
        self._moment: int | None = None  # place of the one that was gone to last
        self._speed, self._loop = 1.0, False
        self.pointer = Pointer(self.canvas, result=self._shown_result, scheme=lambda: self._scheme)
        self._close_up = CloseUp(self.canvas)
        self._lay_out()
        self.timeline.seek_requested.connect(self.seek)
        self.transport.play_wanted.connect(self.toggle_playing)
        self.transport.step_wanted.connect(self.step)
        self.transport.doubtful_wanted.connect(self.go_to_doubtful)
        self.transport.speed_wanted.connect(self.speed_wanted)
        self.transport.loop_wanted.connect(self.loop_wanted)

    @property
    def picture(self) -> Picture | None:
        """What is shown; None: nothing yet."""
        return self._picture

    @property
    def is_playing(self) -> bool:
        return self._picture is not None and self._picture.playing

    # What it shows.

    def open(self, path: Path, film_rate: float | None, style: ViewStyle) -> None:
        """Shows the first frame of a recording as soon as it is there."""
        self.close_recording()
        self._inbox = _Inbox(self)
        self._inbox.bell.rung.connect(self._take)
        self._viewer = RecordingViewer(path, self._inbox.deliver, style, film_rate=film_rate)
        self._viewer.player.set_speed(self._speed)
        self._viewer.player.set_loop(self._loop)

    def close_recording(self) -> None:
        """Shows nothing."""
        if self._viewer is not None:
            self._viewer.request_end()
            self._ending = [viewer for viewer in self._ending if not viewer.join(0)] + [self._viewer]
        if self._inbox is not None:
            self._inbox.bell.rung.disconnect(self._take)
            self._inbox.deleteLater()
        self._viewer, self._inbox, self._picture = None, None, None
        self._time_s = np.empty(0)
        self._moments, self._moment = (), None
        self.shown_rate.clear()
        self.canvas.clear()
        self.timeline.clear()
        self.transport.show_nothing()

    def show_message(self, text: str, action: Action | None = None) -> None:
        """A sentence in the place of the picture."""
        self.canvas.show_message(text, action)

    def show_results(self, results: StoredResults | None, moments: Sequence[Moment] = ()) -> None:
        """Draws these over the recording that is open, and their confidence over time."""
        if self._viewer is None:
            return
        self._viewer.set_results(results)
        self._scheme = results.scheme if results is not None else None
        if self._moments != tuple(moments):
            self._moments, self._moment = tuple(moments), None
            self.timeline.set_marks([moment.time_s for moment in moments])
            self.transport.show_doubtful(None, len(moments))
        self._show_lines(results)

    @property
    def is_opening_network(self) -> bool:
        """Whether heatmaps and reconstructions wait for their model."""
        return self._viewer is not None and self._viewer.is_opening_network

    def set_style(self, style: ViewStyle) -> None:
        if self._viewer is not None:
            self._viewer.set_style(style)

    def set_playing_style(self, speed: float, loop: bool) -> None:
        """How fast, and whether from the beginning again after the end."""
        self._speed, self._loop = speed, loop
        self.transport.show_settings(speed, loop)
        if self._viewer is not None:
            self._viewer.player.set_speed(speed)
            self._viewer.player.set_loop(loop)

    # Moving about.

    def toggle_playing(self) -> None:
        if self._viewer is not None:
            if self.is_playing:
                self._viewer.player.pause()
            else:
                self._viewer.player.play()

    def look_closer(self, face_id: int) -> None:
        """Shows one face as large as the canvas, or the whole picture again."""
        result = self._shown_result()
        self._close_up.toggle(face_id, result.faces if result is not None else ())

    def pause(self) -> None:
        if self._viewer is not None:
            self._viewer.player.pause()

    def step(self, frames: int) -> None:
        if self._viewer is not None:
            self._viewer.player.step(frames)

    def seek(self, time_s: float) -> None:
        """Shows the frame nearest to a presentation time."""
        if self._viewer is not None and len(self._time_s):
            self._viewer.player.seek(int(np.abs(self._time_s - time_s).argmin()))

    def skip(self, seconds: float) -> None:
        """So many seconds on, or back."""
        if self._picture is not None:
            self.seek(self._picture.frame.time_s + seconds)

    def go_to_end(self, *, last: bool) -> None:
        if len(self._time_s):
            self.seek(float(self._time_s[-1 if last else 0]))

    def go_to_doubtful(self, by: int) -> None:
        """Shows the next of the least confident moments, from the worst on; ``by`` -1: the one before."""
        if not self._moments:
            return
        at = (0 if by > 0 else -1) if self._moment is None else self._moment + by
        self._moment = at % len(self._moments)
        self.pause()
        self.seek(self._moments[self._moment].time_s)
        self.transport.show_doubtful(self._moment, len(self._moments))

    # The end.

    def request_end(self) -> None:
        """Begins to end the threads."""
        self.close_recording()

    def join(self, timeout_s: float) -> bool:
        """Waits for the end of the threads; whether they ended within ``timeout_s`` each."""
        self._ending = [viewer for viewer in self._ending if not viewer.join(timeout_s)]
        return not self._ending

    # Hearing of the viewer.

    def _take(self) -> None:
        inbox = self._inbox
        if inbox is None:
            return
        while inbox.events:
            event = inbox.events.popleft()
            if isinstance(event, Failed):
                self.failed.emit(event.message)
            else:
                self._time_s = event.time_s
                self.timeline.set_series({}, start_s=float(event.time_s[0]), end_s=float(event.time_s[-1]))
                self.opened.emit(event)
        picture = inbox.pictures.take()
        if picture is not None and len(self._time_s):
            self._show(picture)

    def _show(self, picture: Picture) -> None:
        self._picture = picture
        if picture.playing:
            self.shown_rate.tick()
        else:
            self.shown_rate.clear()
        frame = picture.frame
        self.canvas.show_message("")
        self.canvas.show_image(picture.image, panes=picture.panes)
        self.timeline.set_cursor(frame.time_s)
        self.transport.show_position(frame.index, len(self._time_s), frame.time_s, float(self._time_s[-1]))
        self.transport.show_playing(picture.playing)
        self.shown.emit(picture)

    def _shown_result(self) -> TrackingResult | None:
        return self._picture.result if self._picture is not None else None

    def _show_lines(self, results: StoredResults | None) -> None:
        if len(self._time_s):
            series = results.confidence_by_face() if results is not None else {}
            start_s, end_s = float(self._time_s[0]), float(self._time_s[-1])
            self.timeline.set_series(series, start_s=start_s, end_s=end_s)

    def _lay_out(self) -> None:
        metrics = theme.current().metrics
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.canvas, 1)
        column.addWidget(self.transport)
        plot = QVBoxLayout()
        plot.setContentsMargins(metrics.margin, 0, metrics.margin, metrics.gap)
        plot.addWidget(self.timeline)
        column.addLayout(plot)


class _Inbox(QObject):
    """What one viewer has delivered: the newest picture, and everything else."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.bell = Doorbell(self)
        self.pictures: Mailbox[Picture] = Mailbox()
        self.events: deque[Opened | Failed] = deque()

    def deliver(self, event: ViewerEvent) -> None:
        """From any thread."""
        if isinstance(event, Picture):
            self.pictures.put(event)
        else:
            self.events.append(event)
        self.bell.ring()
