"""Which source runs: what the user chose, what there is, and when it starts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from PyQt6.QtCore import QObject, pyqtSignal

from gui.live.requests import DEMO, names_a_camera, source_choices, source_request
from gui.live.source_panel import SourcePanel
from gui.services import Action, Level, Services
from gui.settings.settings_schema import LiveSettings, Settings
from gui.tracker_bridge import LiveBridge

_LOOKING = "Looking for cameras ..."


class SourceController(QObject):
    """Starts and stops the session's source. The camera that was chosen last is remembered, files are not."""

    started = pyqtSignal()  # a source, from its beginning
    waiting = pyqtSignal(str)  # for what is known in a moment: a sentence for the user

    def __init__(self, services: Services, bridge: LiveBridge, panel: SourcePanel, parent: QObject) -> None:
        super().__init__(parent)
        self._services, self._bridge, self._panel = services, bridge, panel
        self._chosen = self._live.camera  # key of ``source_choices``; empty: the first there is
        self._running = ""  # key of the source that was started last
        self._opened: tuple[str, ...] = ()  # files and addresses that were named
        self._known: frozenset[str] | None = None  # sources at the last look; None: nobody has looked yet
        self._asked = _asked_of_camera(self._live)
        self.wants_to_run = False  # also while it is not yet known which cameras there are
        bridge.cameras_changed.connect(self._on_cameras)
        panel.source_wanted.connect(self.choose)
        services.settings.changed.connect(self._on_settings)
        self._show()

    @property
    def is_running(self) -> bool:
        """Whether frames come, or are waited for."""
        return self._bridge.session.is_capturing

    def open(self, specs: Sequence[str]) -> None:
        """Offers files, cameras and addresses, and starts the first of them."""
        self._opened = tuple(dict.fromkeys((*self._opened, *specs)))
        if specs:
            self.choose(specs[0])

    def choose(self, source: str) -> None:
        """Starts another source."""
        self._chosen = source
        if source not in self._opened:
            self._services.settings.update("live", camera=source)
        self.start()

    def start(self) -> None:
        """Starts what is chosen, or the best there is instead, as soon as it is known which cameras there are."""
        self.wants_to_run = True
        if self._bridge.cameras is None and self._chosen not in (DEMO, *self._opened):
            self.waiting.emit(_LOOKING)
            return
        choices = self._choices()
        source = self._chosen if self._chosen in choices else next(iter(choices))
        if source != self._chosen:
            self._say_what_is_shown_instead(source, choices[source])
        self._running = source
        self._bridge.session.start(source_request(source, choices[source], self._live))
        self._show()
        self.started.emit()

    def stop(self) -> None:
        """Stops it until ``start``."""
        self.wants_to_run = False
        self._bridge.session.stop()

    def pause(self) -> None:
        """Stops it until ``resume``."""
        self._bridge.session.stop()

    def resume(self) -> None:
        """Goes on after ``pause``."""
        if self.wants_to_run and not self.is_running:
            self.start()

    @property
    def _live(self) -> LiveSettings:
        return self._services.settings.current.live

    def _choices(self) -> dict[str, str]:
        return source_choices(self._bridge.cameras or (), self._opened)

    def _show(self) -> None:
        choices = self._choices()
        shown = next((source for source in (self._chosen, self._running) if source in choices), next(iter(choices)))
        self._panel.show_sources(choices, shown)

    def _say_what_is_shown_instead(self, source: str, title: str) -> None:
        if self._chosen:
            text = f"The camera of last time is not connected, so {title} is shown. It is offered when it is back."
            self._services.notify(text, Level.WARNING)
        elif source == DEMO:
            text = "No camera was found, so the demo clip plays. Connect a camera and it is offered."
            self._services.notify(text, Level.INFO)

    def _on_cameras(self) -> None:
        choices = self._choices()
        before, self._known = self._known, frozenset(choices)
        self._show()
        if self.wants_to_run and not self.is_running:
            self.start()
        elif before is not None and self._running == DEMO:
            for source in choices:
                if source not in before:
                    action = Action("Use it", partial(self.choose, source))
                    self._services.notify(f"{choices[source]} is connected.", Level.INFO, action)
                    return

    def _on_settings(self, settings: Settings) -> None:
        asked = _asked_of_camera(settings.live)
        if asked != self._asked:
            self._asked = asked
            if self.is_running and names_a_camera(self._running):
                self.start()


def _asked_of_camera(live: LiveSettings) -> tuple[int, int, float]:
    return live.width, live.height, live.frame_rate
