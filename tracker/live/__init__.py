"""The live core: capture, tracking, drawing and recording in threads of their own. Knows no window."""

from __future__ import annotations

from tracker.live.cameras import CameraWatcher
from tracker.live.events import EventKind, LiveEvent
from tracker.live.loading import TrackerFacts
from tracker.live.mailbox import Handover, Mailbox, RateMeter
from tracker.live.playback import PacedSource, open_live_source
from tracker.live.rendering import LivePicture
from tracker.live.session import LiveSession, LiveStatistics
from tracker.live.settings import LiveConfig, LiveView, RecordingPlan, SourceRequest
from tracker.live.tracking import TrackedFrame

__all__ = [
    "CameraWatcher",
    "EventKind",
    "Handover",
    "LiveConfig",
    "LiveEvent",
    "LivePicture",
    "LiveSession",
    "LiveStatistics",
    "LiveView",
    "Mailbox",
    "PacedSource",
    "RateMeter",
    "RecordingPlan",
    "SourceRequest",
    "TrackedFrame",
    "TrackerFacts",
    "open_live_source",
]
