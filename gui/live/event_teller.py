"""What a live session has to say, told to the user: on the canvas what concerns the picture, the rest as messages."""

from __future__ import annotations

from collections.abc import Callable

from gui.canvas.video_canvas import VideoCanvas
from gui.services import Action, Level, Services
from gui.settings.model_chooser import AUTO
from gui.show_in_folder import show_in_folder
from models.registry import DEFAULT_MODEL
from tracker.live import EventKind, LiveEvent

_ON_CANVAS = (
    EventKind.SOURCE_OPENING,
    EventKind.SOURCE_STALLED,
    EventKind.SOURCE_LOST,
    EventKind.SOURCE_FAILED,
    EventKind.SOURCE_ENDED,
)
_LEVELS = {
    EventKind.SOURCE_NOTE: Level.INFO,
    EventKind.RECORDING_SAVED: Level.SUCCESS,
    EventKind.RECORDING_FAILED: Level.ERROR,
    EventKind.SNAPSHOT_SAVED: Level.SUCCESS,
    EventKind.SNAPSHOT_FAILED: Level.ERROR,
    EventKind.TRACKER_FAILED: Level.ERROR,
    EventKind.FAULT: Level.ERROR,
}


class EventTeller:
    """Decides where an event is told, and which next step is offered with it."""

    def __init__(
        self,
        canvas: VideoCanvas,
        services: Services,
        *,
        start: Callable[[], object],
        retry: Callable[[], object],
    ) -> None:
        """
        Args:
            start: shows the source again.
            retry: makes a tracker again that could not be made.
        """
        self._canvas, self._services = canvas, services
        self._start, self._retry = start, retry

    def offer_start(self) -> None:
        """Nothing runs: says how to begin."""
        self._canvas.show_message("The video is stopped.", Action("Start", self._start))

    def tell(self, event: LiveEvent) -> None:
        """Tells an event, or takes back what an earlier one said."""
        if event.kind is EventKind.SOURCE_RUNNING:
            self._canvas.show_message("")
        elif event.kind in _ON_CANVAS:
            ended = event.kind in (EventKind.SOURCE_FAILED, EventKind.SOURCE_ENDED)
            self._canvas.show_message(event.text, Action("Try again", self._start) if ended else None)
        elif event.kind in _LEVELS:
            self._services.notify(event.text, _LEVELS[event.kind], self._next_step(event))

    def _next_step(self, event: LiveEvent) -> Action | None:
        path = event.path
        if path is not None and path.exists():
            return Action("Show in folder", lambda: show_in_folder(path))
        models = self._services.models
        if event.kind is EventKind.TRACKER_FAILED and (models.model, models.backend) != (DEFAULT_MODEL, AUTO):
            return Action(f"Use {DEFAULT_MODEL}, engine automatic", models.fall_back)
        if event.kind in (EventKind.TRACKER_FAILED, EventKind.FAULT):
            return Action("Try again", self._retry)
        return None
