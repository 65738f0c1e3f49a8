"""Trackers for a live session: made, tried once, described and closed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from models.errors import FewmarkError
from models.landmark_schemes import LandmarkScheme
from models.registry import model_title
from tracker.backends import PassedOver, run_once
from tracker.config import TrackerConfig
from tracker.following.pipeline import FaceTracker
from tracker.live.memory import settle_memory

_log = logging.getLogger(__name__)

TrackerMaker = Callable[[TrackerConfig, Callable[[str], None]], FaceTracker]  # raises what its second argument does


@dataclass(frozen=True, slots=True)
class TrackerFacts:
    """Which tracker really runs."""

    config: TrackerConfig
    model: str
    backend: str
    device: str
    passed_over: tuple[PassedOver, ...]  # why no better backend runs
    scheme: LandmarkScheme
    why_no_reconstruction: str  # "" if there can be one
    confidence_meaning: str = ""  # see FaceModel.confidence_meaning


def facts_of(tracker: FaceTracker) -> TrackerFacts:
    """As of now: its backend may get better."""
    return TrackerFacts(
        config=tracker.config,
        model=tracker.model.name,
        backend=tracker.backend.name,
        device=tracker.backend.device,
        passed_over=tracker.backends_passed_over,
        scheme=tracker.model.scheme,
        why_no_reconstruction=tracker.model.why_no_reconstruction,
        confidence_meaning=tracker.model.confidence_meaning,
    )


def load_tracker(
    config: TrackerConfig, make: TrackerMaker, report: Callable[[str], None]
) -> tuple[FaceTracker | None, str]:
    """A tracker that has run once; or None, and why.

    Args:
        report: receives what is waited for, for people; raises a FewmarkError to end that.
    """
    tracker: FaceTracker | None = None
    try:
        tracker = make(config, report)
        run_once(tracker.backend, tracker.model)
        settle_memory()
        return tracker, ""
    except FewmarkError as error:
        why = str(error)
    except Exception as error:
        _log.exception("model %s can't be used", config.model)
        why = f"{model_title(config.model)}: can't be used here ({error!r}); choose another model"
    if tracker is not None:
        close_tracker(tracker)
    return None, why


def close_tracker(tracker: FaceTracker) -> None:
    """A tracker that can't even be closed must not take the thread with it, which others wait for."""
    try:
        tracker.close()
    except Exception:
        _log.exception("model %s could not be closed", tracker.model.name)
