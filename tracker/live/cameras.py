"""Which cameras there are, kept up to date while they come and go."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from threading import Event, Thread

from tracker.sources import CameraInfo, list_cameras

_log = logging.getLogger(__name__)

POLL_S = 2.0


class CameraWatcher:
    """Looks for cameras every ``POLL_S`` seconds in a thread of its own: asking the system may take a while."""

    def __init__(
        self,
        on_change: Callable[[], None],
        *,
        find: Callable[[], Sequence[CameraInfo]] = list_cameras,
        poll_s: float = POLL_S,
    ) -> None:
        """
        Args:
            on_change: is called in the watcher's thread after the first look, and whenever ``cameras`` has changed.
        """
        self.cameras: tuple[CameraInfo, ...] | None = None  # None until the first look is over
        self._on_change, self._find, self._poll_s = on_change, find, poll_s
        self._stop = Event()
        self._thread = Thread(target=self._run, name="camera watcher", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Asks it to end; returns at once."""
        self._stop.set()

    def join(self, timeout_s: float) -> bool:
        """Waits for its end; False if it has not ended within ``timeout_s``."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        told = ""
        while not self._stop.is_set():
            try:
                found = tuple(self._find())
            except Exception as error:  # of the system's media framework; the next look may succeed
                found = self.cameras or ()
                if told != str(error):
                    told = str(error)
                    _log.exception("cameras can't be listed")
            if found != self.cameras:
                self.cameras = found
                self._on_change()
            self._stop.wait(self._poll_s)
