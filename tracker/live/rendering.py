"""The render thread: results in, pictures with overlays out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Thread

from tracker.geometry.crop import cut_crop
from tracker.live.events import EventKind, LiveEvent, Report
from tracker.live.mailbox import Handover, Mailbox
from tracker.live.settings import LiveView
from tracker.live.tracking import TrackedFrame
from tracker.overlays import render
from tracker.types import ImageArray

_log = logging.getLogger(__name__)

_WAIT_S = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class LivePicture:
    """What is shown: the overlays lie on the very frame that they were computed from."""

    image: ImageArray  # (H, W, 3) RGB, or (H, 2 W, 3) with a reconstruction beside
    tracked: TrackedFrame
    crops: Mapping[int, ImageArray] | None  # face id -> (S, S, 3) RGB; of the faces that are listed
    is_new: bool  # False: the last frame again, drawn otherwise

    @property
    def panes(self) -> int:
        """How often the frame stands in the image: 2 with a reconstruction beside it."""
        panes: int = self.image.shape[1] // self.tracked.result.frame.image.shape[1]
        return panes


class RenderStage:
    """Draws every result once, and the last one again when the view changes. Hands pictures on at once."""

    def __init__(
        self,
        results: Handover[TrackedFrame],
        pictures: Mailbox[LivePicture],
        view: Callable[[], LiveView],
        on_picture: Callable[[LivePicture, bool], None],
        report: Report,
    ) -> None:
        """
        Args:
            view: gives the newest view.
            on_picture: is called in the render thread with every picture, and whether the mailbox had been empty.
        """
        self._results, self._pictures, self._view = results, pictures, view
        self._on_picture, self._report = on_picture, report
        self._closing = False
        self._thread = Thread(target=self._run, name="rendering", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Asks it to end; returns at once."""
        self._closing = True
        self._results.wake()

    def join(self, timeout_s: float) -> bool:
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def view_changed(self) -> None:
        """Draws the last frame again, unless the next one is there first."""
        self._results.wake()

    def _run(self) -> None:
        last: TrackedFrame | None = None
        drawn: LiveView | None = None
        fault_told = False
        while not self._closing:
            tracked = self._results.take(_WAIT_S)
            view = self._view()
            if tracked is None and (last is None or view == drawn):
                continue
            last, drawn = tracked or last, view
            assert last is not None
            try:
                picture = self._draw(last, view, is_new=tracked is not None)
            except Exception as error:
                _log.exception("drawing failed")
                if not fault_told:
                    fault_told = True
                    text = f"Drawing failed ({error!r}). Switch some overlays off."
                    self._report(LiveEvent(EventKind.FAULT, text))
                continue
            self._on_picture(picture, self._pictures.put(picture))

    def _draw(self, tracked: TrackedFrame, view: LiveView, *, is_new: bool) -> LivePicture:
        result = tracked.result
        if tracked.tracker is None:
            return LivePicture(result.frame.image, tracked, None, is_new)
        image = render(result, view.overlays, view.context(tracked.tracker.scheme))
        crops = None
        if tracked.listed is not None:
            original = result.frame.image
            crops = {f.face_id: cut_crop(original, f.frame_from_crop, f.crop_size).image for f in tracked.listed}
        return LivePicture(image, tracked, crops, is_new)
