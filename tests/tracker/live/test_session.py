"""Live sessions: real threads, the shipped clip as the camera."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from models.errors import FewmarkError
from models.registry import DEFAULT_MODEL
from tracker.config import TrackerConfig, TrackingConfig
from tracker.files.assets import demo_clip
from tracker.following.pipeline import FaceTracker
from tracker.live import EventKind, LiveConfig, LiveView, SourceRequest
from tracker.sources import open_source

Listening = Callable[..., AbstractContextManager[Any]]  # a session that ends every thread it began
DEMO = SourceRequest(str(demo_clip()))


def no_tracker(_config: TrackerConfig) -> FaceTracker:
    raise FewmarkError("no model here; install one")


def test_the_clip_is_tracked_and_each_overlay_lies_on_its_own_frame(listening: Listening) -> None:
    config = LiveConfig(view=LiveView(overlays=("points", "heatmap")))
    with listening(config) as heard:
        heard.session.start(DEMO)
        heard.until(lambda: heard.pictures and heard.last.tracked.result.faces)
        picture = heard.last
        facts = heard.session.tracker
        assert facts is not None
        assert (facts.model, facts.scheme.num_points) == (DEFAULT_MODEL, len(picture.tracked.result.faces[0].points))
        assert heard.has(EventKind.TRACKER_LOADING)
        assert heard.has(EventKind.TRACKER_READY)
        assert heard.has(EventKind.SOURCE_RUNNING)
        # The image is the result's own frame, changed round the face only.
        frame, (face, *_) = picture.tracked.result.frame, picture.tracked.result.faces
        changed = (picture.image != frame.image).any(axis=2)
        left, top, right, bottom = face.box.xyxy.astype(int)
        assert changed[top:bottom, left:right].any()
        assert not changed[:, : left - face.box.width.__int__()].any()
        assert face.heatmap is not None
        heard.until(lambda: heard.last.crops)
        assert [crop.shape for crop in (heard.last.crops or {}).values()] == [(face.crop_size, face.crop_size, 3)]
        statistics = heard.session.statistics()
        assert statistics.tracking_rate is None or statistics.tracking_rate > 0
        heard.session.stop()
        assert not heard.session.is_capturing


def test_listed_faces_have_reconstructions_and_recorded_ones_only_where_they_are_drawn(
    listening: Listening,
    reconstructing_model: Path,
) -> None:
    noise = TrackerConfig(model=str(reconstructing_model), backend="eager", tracking=TrackingConfig(min_confidence=0.0))
    with listening(LiveConfig(tracker=noise, view=LiveView(overlays=("points",)))) as heard:
        heard.session.start(DEMO)
        heard.until(lambda: heard.pictures and heard.last.tracked.listed)
        (listed, *_), (face, *_) = heard.last.tracked.listed or (), heard.last.tracked.result.faces
        assert listed.reconstruction is not None
        assert listed.reconstruction.shape == (128, 128, 3)
        assert listed.recon_error is not None
        assert set(heard.last.crops or {}) == {face.face_id}
        assert listed.face_id == face.face_id
        assert (face.reconstruction, face.recon_error) == (None, None)
        heard.until(lambda: heard.last.tracked.listed is None)  # not with every frame
        assert heard.last.crops is None


def test_the_view_changes_on_a_picture_that_stands_still(listening: Listening) -> None:
    config = LiveConfig(view=LiveView(overlays=()))
    with listening(config) as heard:
        heard.session.start(DEMO)
        heard.until(lambda: heard.pictures and heard.last.tracked.result.faces)
        heard.session.stop()
        heard.until(lambda: not heard.session.take_picture() and time.sleep(0.5) is None)
        heard.session.configure(replace(config, view=LiveView(overlays=("box",))))
        heard.until(lambda: not heard.last.is_new)
        assert (heard.last.image != heard.last.tracked.result.frame.image).any()


def test_a_mirrored_session_shows_and_tracks_the_mirror_image(listening: Listening) -> None:
    with listening(LiveConfig(mirror=True), make_tracker=no_tracker) as heard:
        heard.session.start(DEMO)
        heard.until(lambda: heard.pictures)
        index = heard.pictures[0].tracked.result.frame.index
        with open_source(demo_clip()) as source:
            original = next(frame for frame in source if frame.index == index)
        assert (heard.pictures[0].image == original.image[:, ::-1]).all()
