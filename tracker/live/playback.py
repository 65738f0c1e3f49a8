"""Sources as a live session wants them: cameras at a size, and files that play as if a camera showed them."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from models.errors import FewmarkError
from tracker.live.settings import SourceRequest
from tracker.sources import CameraSource, FrameSource, find_camera, list_cameras, open_source
from tracker.sources.base import SingleUseSource
from tracker.sources.media_facts import FALLBACK_RATE
from tracker.sources.opening import CAMERA_PREFIX
from tracker.types import Frame

_LATE_S = 0.25  # a film that falls behind by more goes on from there instead of hurrying after its times
_NAP_S = 0.05  # so often a sleeping film looks whether it was closed


class PacedSource(SingleUseSource):
    """A recording whose frames come at their presentation times, as from a camera, and from the front at its end.

    ``time_s`` is the moment of ``time.perf_counter()`` at which the frame was due, ``index`` counts from 0 in every
    round. Where decoding can't keep up the film slows down; no frame is left out.
    """

    def __init__(self, open_recording: Callable[[], FrameSource], *, loop: bool = True) -> None:
        """
        Args:
            open_recording: is called again for every round.

        Raises:
            FewmarkError: it can't be opened, or it is photos, which have no times.
        """
        self._open, self._loop, self._closed = open_recording, loop, False
        self._source = open_recording()
        super().__init__(self._source.info.name)
        if self._source.info.are_stills:
            self._source.close()
            raise FewmarkError(f"{self._name}: photos are no live source; name a video or a camera")
        self.info = replace(self._source.info, frame_count=None, is_live=True, has_audio=False, pixel_aspect=1.0)
        self._step_s = 1 / (self.info.frame_rate or FALLBACK_RATE)

    def close(self) -> None:
        super().close()
        self._closed = True
        self._source.close()

    def _iterate(self) -> Iterator[Frame]:
        start_s = time.perf_counter()
        while True:
            first_s: float | None = None
            due_s = start_s
            for index, frame in enumerate(self._source):
                first_s = frame.time_s if first_s is None else first_s
                due_s = start_s + frame.time_s - first_s
                late_s = time.perf_counter() - due_s
                if late_s > _LATE_S:
                    start_s, due_s = start_s + late_s, due_s + late_s
                if not self._sleep_until(due_s):
                    return
                yield Frame(frame.image, index, due_s)
            if not self._loop:
                return
            start_s = due_s + self._step_s
            self._source.close()
            gc.collect()  # PyAV's contexts hang in reference cycles: an evening's rounds would pile them up
            self._source = self._open()

    def _sleep_until(self, due_s: float) -> bool:
        """False if the source was closed meanwhile."""
        while not self._closed and (remaining_s := due_s - time.perf_counter()) > 0:
            time.sleep(min(remaining_s, _NAP_S))  # unlike Event.wait exact to a millisecond on Windows
        return not self._closed


def names_a_file(spec: str) -> bool:
    """Whether a source is a file, which is there or is not: there is nothing to wait for."""
    return not _camera_named(spec) and ("://" not in spec or spec.lower().startswith("file://"))


def open_live_source(request: SourceRequest) -> FrameSource:
    """Opens what ``request.spec`` names; what is no live source by itself is played like one.

    Raises:
        FewmarkError: there is no such source, or no frame can be had from it.
    """
    wanted = _camera_named(request.spec)
    if wanted:
        cameras = list_cameras()
        return CameraSource(
            find_camera(wanted, cameras),
            width=request.width,
            height=request.height,
            frame_rate=request.frame_rate,
            cameras=cameras,
        )
    source = open_source(request.spec)
    if source.info.is_live:
        return source
    source.close()
    return PacedSource(partial(open_source, request.spec))


def _camera_named(spec: str) -> str:
    """The camera that a source names, by index, name or stable id; empty if it is none."""
    if spec.lower().startswith(CAMERA_PREFIX):
        return spec[len(CAMERA_PREFIX) :]
    return spec if spec.isascii() and spec.isdigit() else ""
