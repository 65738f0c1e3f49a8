from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.errors import FewmarkError
from tracker.config import OneEuroSettings
from tracker.files.assets import demo_clip
from tracker.following.pipeline import FaceTracker
from tracker.following.smoothing import OneEuroFilter
from tracker.sources import open_source
from tracker.types import FaceBox, Frame, TrackedFace, TrackingResult
from training.evaluation.jitter import best_lag, departures, lag_costs, normalised_mean_jitter, still_jitter
from training.evaluation.video import evaluate_video, write_video_report

RATE = 30.0


def times(count: int, *, uneven: bool = False) -> np.ndarray:
    even = np.arange(count) / RATE
    return even + np.random.default_rng(2).uniform(-0.3, 0.3, count) / RATE if uneven else even


@pytest.mark.parametrize("uneven", [False, True])
def test_uniform_motion_is_no_jitter(uneven: bool) -> None:
    t = times(50, uneven=uneven)
    points = np.array([[10.0, 20.0], [5.0, 5.0]]) + t[:, None, None] * np.array([[100.0, -40.0], [0.0, 3.0]])
    assert departures(points, t).max() < 1e-9


@pytest.mark.parametrize("uneven", [False, True])
def test_white_noise_gives_its_own_flicker(uneven: bool) -> None:
    sigma = 0.5
    points = np.random.default_rng(0).normal(0, sigma, (4000, 5, 2))
    flicker = np.sqrt(np.square(np.diff(points, axis=0)).sum(axis=-1).mean())  # of errors, as NMF defines it
    departed = departures(points, times(4000, uneven=uneven))
    assert normalised_mean_jitter(departed) == pytest.approx(flicker, rel=0.03)
    assert normalised_mean_jitter(departed) == pytest.approx(2 * sigma, rel=0.03)
    assert still_jitter(departed) == pytest.approx(2 * sigma, rel=0.03)


def test_a_blink_is_jitter_of_all_frames_but_not_of_a_still_face() -> None:
    points = np.random.default_rng(0).normal(0, 0.1, (300, 3, 2))
    points[150:154, :, 1] += 8
    departed = departures(points, times(300))
    assert still_jitter(departed) == pytest.approx(0.2, rel=0.1)
    assert normalised_mean_jitter(departed) > 2.5 * still_jitter(departed)


def swing(t: np.ndarray) -> np.ndarray:
    """(T, 2, 2) px: two landmarks that swing, half a face a second at most."""
    x = 60 * np.sin(2 * np.pi * 0.3 * t) + 10 * np.sin(2 * np.pi * 1.1 * t)
    return np.stack([np.stack([x, 0.3 * x], axis=-1), np.stack([0.5 * x, -x], axis=-1)], axis=1)


@pytest.mark.parametrize("lag_s", [0.0, 0.02, 0.07])
def test_a_path_that_comes_late_is_found_so_much_late(lag_s: float) -> None:
    t = times(240)
    noise = np.random.default_rng(1).normal(0, 0.3, (240, 2, 2))
    lags, costs, moving = lag_costs(swing(t - lag_s), swing(t) + noise, t, length=100.0)
    assert moving > 300
    assert best_lag(lags, costs) == pytest.approx(lag_s, abs=0.003)


def test_smoothing_lags_more_the_calmer_it_is() -> None:
    t = times(240)
    raw = swing(t)
    found = []
    for cutoff in (4.0, 1.0):
        smooth = OneEuroFilter(OneEuroSettings(min_cutoff_hz=cutoff, beta=0.0))
        smoothed = np.stack([smooth(p.astype(np.float32), s, 200.0) for p, s in zip(raw, t, strict=True)])
        lags, costs, _ = lag_costs(smoothed.astype(np.float64), raw, t, length=100.0)
        found.append(best_lag(lags, costs))
    # A first-order low-pass at low frequencies lags by its time constant, less half a frame of its discrete form.
    assert found[0] == pytest.approx(1 / (2 * np.pi * 4), abs=0.02)
    assert found[1] == pytest.approx(1 / (2 * np.pi * 1), abs=0.03)


def test_a_still_face_says_nothing_of_lag() -> None:
    t = times(240)
    still = np.zeros((240, 2, 2))
    assert lag_costs(still, still, t, length=100.0)[2] == 0
    assert lag_costs(swing(t[:5]), swing(t[:5]), t[:5], length=100.0)[2] == 0


def result(points: np.ndarray | None, index: int, face_id: int = 0) -> TrackingResult:
    frame = Frame(np.zeros((4, 4, 3), np.uint8), index, index / RATE)
    if points is None:
        return TrackingResult(frame, ())
    box = FaceBox(np.array([0, 0, 1, 1], np.float32), 1.0)
    confidence = np.ones(len(points), np.float32)
    face = TrackedFace(face_id, points.astype(np.float32), confidence, box, np.eye(2, 3), 128)
    return TrackingResult(frame, (face,))


def swinging_face(count: int) -> np.ndarray:
    """(T, 68, 2) px with noise of 0.2 px."""
    rng = np.random.default_rng(3)
    shape = rng.uniform(0, 150, (68, 2))
    shape[36], shape[45] = (20, 50), (120, 50)
    return shape + swing(times(count))[:, :1] + rng.normal(0, 0.2, (count, 68, 2))


def test_a_path_begins_anew_where_the_face_was_missing(face_tracker: FaceTracker) -> None:
    points = swinging_face(200)
    results = [result(None if i in (80, 81, 85) else points[i], i) for i in range(200)]
    measured = evaluate_video(results, face_tracker, video="clip")
    assert [len(path.times_s) for path in measured.paths] == [80, 114]  # 82..84 are too few
    assert (measured.frames, measured.frames_with_face) == (200, 197)
    assert measured.frame_rate == pytest.approx(RATE)
    assert measured.paths[0].length == pytest.approx(100, rel=0.01)
    assert 0.39 < measured.raw.still_percent < 0.5  # 2 sigma of 0.2 px in 100, and the bends of the swing
    assert measured.smoothed.still_percent < measured.raw.still_percent
    assert set(measured.raw.parts_percent) == {"jaw", "brows", "nose", "eyes", "mouth"}
    assert measured.lag_ms is not None
    assert 0 < measured.lag_ms < 60


def test_smoothing_here_is_the_trackers_own(face_tracker: FaceTracker) -> None:
    settings = OneEuroSettings(min_cutoff_hz=1.0, beta=5.0)
    config = replace(face_tracker.config, smooth=True, smoothing=settings)
    with open_source(demo_clip(), end_s=1.0) as source:
        frames = list(source)
    measured = evaluate_video(map(face_tracker.process, frames), face_tracker, video="demo", smoothing=settings)
    assert len(measured.paths[0].times_s) == len(frames)

    face_tracker.reset(restart_ids=True)
    unsmoothed = face_tracker.config
    face_tracker.reconfigure(config)
    try:
        smoothed = [face_tracker.process(frame).faces[0].points for frame in frames]
        with pytest.raises(ValueError, match="no raw paths"):
            evaluate_video([], face_tracker, video="demo")
    finally:
        face_tracker.reconfigure(unsmoothed)
    np.testing.assert_allclose(measured.paths[0].smoothed, np.stack(smoothed), atol=1e-3)


def test_no_face_long_enough(face_tracker: FaceTracker) -> None:
    points = swinging_face(5)
    with pytest.raises(FewmarkError, match="clip: no face was followed for 10 frames"):
        evaluate_video([result(p, i) for i, p in enumerate(points)], face_tracker, video="clip")


def test_the_report_holds_figures_and_plot(face_tracker: FaceTracker, tmp_path: Path) -> None:
    measured = evaluate_video(
        [result(p, i) for i, p in enumerate(swinging_face(60))], face_tracker, video="clip", normaliser="pupils"
    )
    figures, plot = write_video_report(measured, tmp_path / "report")
    content = json.loads(figures.read_text())
    assert content["normaliser"] == "pupils"
    assert content["raw"]["still_percent"] == pytest.approx(measured.raw.still_percent, abs=1e-5)
    assert content["smoothing"]["beta"] == OneEuroSettings().beta
    assert plot.read_bytes().startswith(b"\x89PNG")
    (tmp_path / "file").write_text("")
    with pytest.raises(FewmarkError, match="can't be written"):
        write_video_report(measured, tmp_path / "file/below")


@pytest.mark.slow
def test_jitter_and_lag_of_a_real_clip(shared_data: Path, face_tracker: FaceTracker) -> None:
    with open_source(shared_data / "videos/head_motion_480p.mp4", end_s=6.0) as source:
        measured = evaluate_video(map(face_tracker.process, source), face_tracker, video="head motion")
    assert 0.1 < measured.raw.still_percent < 2
    assert measured.smoothed.still_percent < 0.8 * measured.raw.still_percent
    assert measured.lag_ms is not None
    assert 0 <= measured.lag_ms < 40
