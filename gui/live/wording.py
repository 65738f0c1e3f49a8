"""What the live workspace says of its session."""

from __future__ import annotations

from gui.live.figures import Figures
from gui.workspace import Status
from tracker.live import LiveSession
from tracker.types import SourceInfo


def status_of(session: LiveSession, figures: Figures, loading: str) -> Status:
    """The status line.

    Args:
        loading: what a tracker that is being made waits for.
    """
    facts, statistics, running = session.tracker, session.statistics(), session.is_capturing
    return Status(
        model=facts.model if facts else "",
        backend=facts.backend if facts else "",
        device=facts.device if facts else "",
        passed_over=facts.passed_over if facts else (),
        camera_rate=statistics.capture_rate,
        model_rate=statistics.tracking_rate,
        shown_rate=figures.shown_rate if running else None,
        latency_ms=figures.latency_ms if running else None,
        replaced=statistics.replaced if running else None,
        activity=loading if session.is_loading else "",
    )


def why_no_faces(session: LiveSession) -> str:
    """As long as no picture has been through a tracker."""
    if session.is_loading:
        return "The model is being loaded."
    if session.tracker is None:
        return "No model is loaded."
    return "No face is in the picture." if session.is_capturing else "The video is stopped."


def size_and_rate(info: SourceInfo) -> str:
    """What a source gives."""
    rate = f", {info.frame_rate:.0f} fps" if info.frame_rate else ""
    return f"{info.width} x {info.height}{rate}"
