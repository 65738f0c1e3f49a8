"""Between the threads of the tracker and Qt: the only file that knows both a thread and a signal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from threading import Lock
from time import monotonic

from PyQt6.QtCore import QObject, pyqtSignal

from tracker.config import TrackerConfig
from tracker.following.pipeline import FaceTracker
from tracker.live import CameraWatcher, LiveConfig, LiveSession, SourceRequest, open_live_source
from tracker.sources import CameraInfo, FrameSource, list_cameras


class Doorbell(QObject):
    """Any thread rings, the GUI thread hears it: once, however often it was rung since it last heard.

    It carries nothing. What there is to take waits in a mailbox, so that a GUI thread that is busy finds the newest
    item there and no queue of old ones.
    """

    rung = pyqtSignal()  # in the GUI thread

    _crossing = pyqtSignal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._lock = Lock()
        self._waiting = False
        self._crossing.connect(self._answer)  # Qt sees from which thread it is emitted, and queues

    def ring(self) -> None:
        """From any thread; returns at once."""
        with self._lock:
            was_waiting, self._waiting = self._waiting, True
        if not was_waiting:
            with contextlib.suppress(RuntimeError):  # Qt has deleted it: nobody is left to hear
                self._crossing.emit()

    def _answer(self) -> None:
        with self._lock:
            self._waiting = False
        self.rung.emit()


class LiveBridge(QObject):
    """A live session and the list of cameras, as Qt objects see them. All methods belong to the GUI thread."""

    picture_ready = pyqtSignal()  # ``session.take_picture`` has one
    events_ready = pyqtSignal()  # ``session.take_events`` has some
    cameras_changed = pyqtSignal()  # ``cameras`` is another list, or known for the first time

    def __init__(
        self,
        config: LiveConfig,
        *,
        open_source: Callable[[SourceRequest], FrameSource] = open_live_source,
        make_tracker: Callable[[TrackerConfig], FaceTracker] | None = None,
        find_cameras: Callable[[], list[CameraInfo]] = list_cameras,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        pictures, events, self._cameras_bell = Doorbell(self), Doorbell(self), Doorbell(self)
        pictures.rung.connect(self.picture_ready)
        events.rung.connect(self.events_ready)
        self._cameras_bell.rung.connect(self._take_cameras)
        self._find_cameras = find_cameras
        self._watcher: CameraWatcher | None = None
        self._ended_watchers: list[CameraWatcher] = []
        self.cameras: tuple[CameraInfo, ...] | None = None  # None until they were looked for
        self.session = LiveSession(
            config,
            on_picture=pictures.ring,
            on_event=events.ring,
            open_source=open_source,
            make_tracker=make_tracker,
        )

    def watch_cameras(self) -> None:
        """Keeps ``cameras`` up to date from now on."""
        if self._watcher is None:
            self._watcher = CameraWatcher(self._cameras_bell.ring, find=self._find_cameras)

    def ignore_cameras(self) -> None:
        """Leaves the system in peace while nobody looks."""
        if self._watcher is not None:
            self._watcher.stop()
            self._ended_watchers = [watcher for watcher in self._ended_watchers if not watcher.join(0)]
            self._ended_watchers.append(self._watcher)
            self._watcher = None

    def request_end(self) -> None:
        """Begins to end every thread and to complete the recording; returns at once."""
        self.ignore_cameras()
        self.session.request_end()

    def join(self, timeout_s: float) -> bool:
        """Waits for that; False if a thread has not ended in time. For a recording it waits longer."""
        deadline = monotonic() + timeout_s
        ended = [self.session.join(timeout_s)]
        ended += [watcher.join(max(deadline - monotonic(), 0.0)) for watcher in self._ended_watchers]
        return all(ended)

    def _take_cameras(self) -> None:
        if self._watcher is not None and self._watcher.cameras is not None:
            self.cameras = self._watcher.cameras
            self.cameras_changed.emit()
