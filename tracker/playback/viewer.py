"""A recording with its stored results drawn on it.

Points, contours and boxes are drawn from what is stored, on the player's thread. Heatmaps and reconstructions need the
network: a second thread makes them for the newest frame, and what comes too late is not shown.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from models.errors import FewmarkError
from models.files.model_file import FaceModel
from models.registry import open_model
from tracker.backends import choose_backend
from tracker.backends.base import Backend
from tracker.batch.results import StoredResults
from tracker.following.face_pictures import add_pictures, pictures_for
from tracker.geometry.crop import cut_crop
from tracker.overlays import OverlayContext, render
from tracker.playback.player import Failed, Opened, Player, PlayerEvent, Shown
from tracker.types import Frame, ImageArray, TrackingResult


@dataclass(frozen=True, slots=True)
class ViewStyle:
    """What is drawn, and with which network heatmaps and reconstructions are made."""

    overlays: tuple[str, ...]  # names of OVERLAYS
    context: OverlayContext
    model: str  # a name of MODELS or the path of a model file
    backend: str = "auto"


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A frame as it is to be shown."""

    image: ImageArray  # (H, W, 3) RGB, overlays drawn on; (H, 2 W, 3) where an overlay needs a second copy
    frame: Frame
    result: TrackingResult | None  # None: the frame was not tracked
    crops: Mapping[int, ImageArray]  # face id -> (S, S, 3) RGB, where it is known
    playing: bool

    @property
    def panes(self) -> int:
        """How often the frame stands in the image: 2 with a reconstruction beside it."""
        panes: int = self.image.shape[1] // self.frame.image.shape[1]
        return panes


ViewerEvent = Opened | Picture | Failed


class RecordingViewer:
    """Shows one recording; ``player`` is what plays, pauses and seeks.

    Args:
        deliver: takes the events, on threads of this object.
        film_rate: as in ``tracker.playback.open_reader``.
    """

    def __init__(
        self, path: Path, deliver: Callable[[ViewerEvent], None], style: ViewStyle, *, film_rate: float | None = None
    ) -> None:
        self._deliver = deliver
        self._style = style
        self._results: StoredResults | None = None
        self._number = 0  # of the newest frame that was drawn from what is stored
        self._network = _NetworkThread(self._draw_with_network, lambda sentence: deliver(Failed(sentence)))
        self.player = Player(path, self._on_event, film_rate=film_rate)

    @property
    def is_opening_network(self) -> bool:
        """Whether heatmaps and reconstructions wait for their model."""
        return self._network.is_opening

    def set_results(self, results: StoredResults | None) -> None:
        """Draws these from now on; None: the frames alone."""
        self._results = results
        self.player.show_again()

    def set_style(self, style: ViewStyle) -> None:
        """Draws like this from now on."""
        self._style = style
        self.player.show_again()

    def request_end(self) -> None:
        """Begins to end the threads."""
        self.player.request_end()
        self._network.request_end()

    def join(self, timeout_s: float | None = None) -> bool:
        """Waits for the end of the threads, not from ``deliver``; whether they ended within ``timeout_s`` each."""
        return self.player.join(timeout_s) and self._network.join(timeout_s)

    def _on_event(self, event: PlayerEvent) -> None:
        if not isinstance(event, Shown):
            self._deliver(event)
            return
        style, results = self._style, self._results
        result = results.result_of(event.frame) if results is not None else None
        needs_network = result is not None and bool(result.faces) and pictures_for(style.overlays).holds_pictures
        self._number += 1
        if result is None or not (needs_network and event.playing and self._network.is_ready(style)):
            image = event.frame.image if result is None else render(result, style.overlays, style.context)
            self._deliver(Picture(image, event.frame, result, _crops(result), event.playing))
        if result is not None and needs_network:
            self._network.offer(_Offer(self._number, result, style, event.playing))

    def _draw_with_network(self, offer: _Offer, backend: Backend) -> None:
        """On the network's thread."""
        style = offer.style
        result = add_pictures(offer.result, backend, pictures_for(style.overlays, style.context.chosen_landmark))
        image = render(result, style.overlays, style.context)
        if offer.playing or offer.number == self._number:
            self._deliver(Picture(image, result.frame, result, _crops(result), offer.playing))


def _crops(result: TrackingResult | None) -> dict[int, ImageArray]:
    if result is None:
        return {}
    known = [face for face in result.faces if face.crop_size > 0]
    return {f.face_id: cut_crop(result.frame.image, f.frame_from_crop, f.crop_size).image for f in known}


@dataclass(frozen=True, slots=True, eq=False)
class _Offer:
    number: int
    result: TrackingResult
    style: ViewStyle
    playing: bool


class _NetworkThread:
    """Opens models and backends, uses and closes them, for the newest offer; older ones are left out."""

    def __init__(self, draw: Callable[[_Offer, Backend], None], tell: Callable[[str], None]) -> None:
        self._draw, self._tell = draw, tell
        self._changed = threading.Condition()
        self._newest: _Offer | None = None
        self._closed = False
        self.is_opening = False
        self._ready: tuple[str, str] | None = None  # model and backend that drew the last offer
        self._thread: threading.Thread | None = None  # started when it is needed first: most views never do

    def is_ready(self, style: ViewStyle) -> bool:
        """Whether an offer in this style would be used without a delay."""
        return self._ready == (style.model, style.backend)

    def offer(self, offer: _Offer) -> None:
        with self._changed:
            self._newest = offer
            self._changed.notify_all()
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="network of the viewer", daemon=True)
                self._thread.start()

    def request_end(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def join(self, timeout_s: float | None) -> bool:
        thread = self._thread
        if thread is not None:
            thread.join(timeout_s)
        return thread is None or not thread.is_alive()

    def _next(self) -> _Offer | None:
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._closed)
            offer, self._newest = self._newest, None
            return None if self._closed else offer

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:
            self._ready, self.is_opening = None, False
            self._tell(f"Heatmaps and reconstructions stopped by a fault in the program ({error!r}); open it again.")
            raise

    def _work(self) -> None:
        opened: _Network | FewmarkError | None = None
        wanted: tuple[str, str] | None = None
        told = ""
        while (offer := self._next()) is not None:
            asked = (offer.style.model, offer.style.backend)
            if asked != wanted:
                self._ready = None
                if isinstance(opened, _Network):
                    opened.backend.close()
                self.is_opening = True
                opened, wanted, told = _open(*asked), asked, ""
                self.is_opening = False
            trouble = _trouble(opened, offer)
            self._ready = None if trouble else asked
            if not trouble and isinstance(opened, _Network):
                self._draw(offer, opened.backend)
            elif trouble != told:  # once, not for every frame
                self._tell(trouble)
            told = trouble
        if isinstance(opened, _Network):
            opened.backend.close()


@dataclass(frozen=True, slots=True)
class _Network:
    model: FaceModel
    backend: Backend


def _open(model_name: str, backend: str) -> _Network | FewmarkError:
    try:
        model = open_model(model_name)
        return _Network(model, choose_backend(backend, model).backend)
    except FewmarkError as error:
        return error


def _trouble(opened: _Network | FewmarkError | None, offer: _Offer) -> str:
    """Why the offer can't be drawn; empty if it can."""
    if not isinstance(opened, _Network):
        return str(opened)
    model = opened.model
    if pictures_for(offer.style.overlays).reconstructions and (why := model.why_no_reconstruction):
        return why
    size = model.network.config.input_size
    if any(face.crop_size not in (0, size) for face in offer.result.faces):
        return f"model {model.name} does not fit these results (other crops); process the video again"
    return ""
