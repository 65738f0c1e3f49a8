"""Presentation times, made to rise."""

from __future__ import annotations

import av

from tracker.sources.media_facts import MediaFacts

_DISCONTINUITY_S = 1.0  # a time that falls back by more than this is a new start, not two frames out of order


class PresentationClock:
    """Strictly rising presentation times [s] for frames in presentation order.

    A frame's own time is taken where it has one that lies after the last; otherwise the mean rate carries on from the
    last. A fall back by more than a second (joined recordings) shifts all that follows. Times in decoding order (AVI)
    belong to the frames in presentation order.
    """

    def __init__(self, facts: MediaFacts) -> None:
        self._facts = facts
        self._offset_s = 0.0
        self.last_s: float | None = None
        self.end_s = 0.0  # at which the last frame ends
        self.frames_without_time = 0

    def time_of(self, frame: av.VideoFrame) -> float:
        self.last_s = self._next_time(frame)
        self.end_s = self.last_s + max(self._facts.step_s, (frame.duration or 0) * self._facts.time_base_s)
        return self.last_s

    def carry_on_from(self, frame: av.VideoFrame, time_s: float) -> None:
        """Shift the times that follow, so that ``frame`` will lie at ``time_s``."""
        stamp = self._stamp(frame)
        self._offset_s = 0.0 if stamp is None else time_s - stamp * self._facts.time_base_s

    def _stamp(self, frame: av.VideoFrame) -> int | None:
        if self._facts.decode_times_only and frame.dts is not None:
            return frame.dts
        return frame.pts if frame.pts is not None else frame.dts

    def _next_time(self, frame: av.VideoFrame) -> float:
        stamp = self._stamp(frame)
        if stamp is None:
            self.frames_without_time += 1
            return 0.0 if self.last_s is None else self.last_s + self._facts.step_s
        time_s = stamp * self._facts.time_base_s + self._offset_s
        if self.last_s is None or time_s > self.last_s:
            return time_s
        following_s = self.last_s + self._facts.step_s
        if time_s < self.last_s - _DISCONTINUITY_S:
            self._offset_s += following_s - time_s
        elif not self._facts.decode_times_only:
            self.frames_without_time += 1
        return following_s
