"""One-Euro filter: the properties that its docstrings promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tracker.config import OneEuroSettings
from tracker.following.smoothing import OneEuroFilter

FACE_PX = 200.0


def smoothed(track: np.ndarray, times_s: np.ndarray, face_size_px: float = FACE_PX) -> np.ndarray:
    """(T, K, 2) points at their times through a fresh filter."""
    one_euro = OneEuroFilter()
    return np.array(
        [
            one_euro(points.astype(np.float32), float(time_s), face_size_px)
            for points, time_s in zip(track, times_s, strict=True)
        ]
    )


def random_track(seed: int, frames: int = 40, points: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    track = 300 + np.cumsum(rng.normal(0, 4, (frames, points, 2)), axis=0)
    return track, np.cumsum(rng.uniform(0.005, 0.1, frames))


@settings(deadline=None, max_examples=50)
@given(st.floats(-1e4, 1e4), st.lists(st.floats(0, 2), min_size=2, max_size=20))
@example(0.0, [0.0, 5e-324])  # a step so short that one over it is infinite
def test_points_at_rest_stay_where_they_are(place: float, steps_s: list[float]) -> None:
    times_s = np.cumsum(steps_s)
    track = np.full((len(times_s), 3, 2), np.float32(place))
    np.testing.assert_array_equal(smoothed(track, times_s), track)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**16), st.floats(0.2, 5), st.floats(-500, 500), st.floats(0, 2 * np.pi))
def test_follows_translation_scale_and_rotation_of_the_image(
    seed: int, scale: float, shift: float, angle: float
) -> None:
    track, times_s = random_track(seed)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    direct = smoothed(track @ turn.T + shift, times_s, FACE_PX * scale)
    np.testing.assert_allclose(direct, smoothed(track, times_s) @ turn.T + shift, atol=0.02 * scale + 0.002)


def test_frame_rate_hardly_matters() -> None:
    def at(rate: int) -> np.ndarray:
        times_s = np.arange(0, 2, 1 / rate)
        track = np.stack([60 * np.sin(np.pi * times_s), 20 * times_s], axis=1)[:, None]
        return smoothed(track, times_s)[:: rate // 30]

    np.testing.assert_allclose(at(30), at(120), atol=0.01 * FACE_PX)


@pytest.mark.parametrize("jitter", [0.002, 0.005])
def test_jitter_of_a_still_face_is_at_most_half(jitter: float) -> None:
    track = 100 + np.random.default_rng(0).normal(0, jitter * FACE_PX, (300, 68, 2))
    result = smoothed(track, np.arange(300) / 30)[60:]
    assert result.std(axis=0).mean() < 0.5 * jitter * FACE_PX
    assert np.diff(result, axis=0).std() < 0.3 * np.diff(track, axis=0).std()


@pytest.mark.parametrize(("speed", "max_lag_s"), [(0.25, 0.030), (1.0, 0.010)])
def test_lag_behind_steady_motion(speed: float, max_lag_s: float) -> None:
    times_s = np.arange(60) / 30
    track = np.zeros((60, 1, 2))
    track[:, 0, 0] = speed * FACE_PX * times_s
    lag_px = (track - smoothed(track, times_s))[-1, 0, 0]
    assert 0 < lag_px / (speed * FACE_PX) < max_lag_s


def test_a_jump_is_followed_within_a_tenth_of_a_second() -> None:
    times_s = np.arange(60) / 30
    track = np.zeros((60, 1, 2))
    track[30:] = FACE_PX / 2
    result = smoothed(track, times_s)[:, 0, 0]
    assert np.all(np.diff(result) >= 0)
    assert result[33] > 0.95 * FACE_PX / 2


def test_a_blink_keeps_most_of_its_depth() -> None:
    times_s = np.arange(60) / 30
    lid = np.interp(times_s, [1, 1.1, 1.15, 1.3], [0, 1, 1, 0]) * 0.04 * FACE_PX
    result = smoothed(np.stack([np.zeros(60), lid], axis=1)[:, None], times_s)
    assert result[:, 0, 1].max() > 0.8 * lid.max()


@pytest.mark.parametrize("time_s", [2.0, 0.5, -3.0], ids=["gap", "earlier", "negative"])
def test_starts_anew_after_a_gap_and_a_seek(time_s: float) -> None:
    one_euro = OneEuroFilter(OneEuroSettings(max_gap_s=0.5))
    one_euro(np.zeros((4, 2), np.float32), 1.0, FACE_PX)
    elsewhere = np.full((4, 2), 50, np.float32)
    np.testing.assert_array_equal(one_euro(elsewhere, time_s, FACE_PX), elsewhere)


def test_starts_anew_after_a_reset_and_with_another_number_of_points() -> None:
    one_euro = OneEuroFilter()
    one_euro(np.zeros((4, 2), np.float32), 1.0, FACE_PX)
    six = np.full((6, 2), 9, np.float32)
    np.testing.assert_array_equal(one_euro(six, 1.0, FACE_PX), six)
    one_euro.reset()
    np.testing.assert_array_equal(one_euro(six + 5, 1.01, FACE_PX), six + 5)


def test_the_same_time_again_changes_nothing() -> None:
    one_euro = OneEuroFilter()
    points = np.zeros((4, 2), np.float32)
    one_euro(points, 0.0, FACE_PX)
    last = one_euro(points + 10, 0.03, FACE_PX)
    np.testing.assert_array_equal(one_euro(points + 99, 0.03, FACE_PX), last)


def test_what_comes_out_is_not_the_state() -> None:
    one_euro = OneEuroFilter()
    points = np.zeros((4, 2), np.float32)
    one_euro(points, 0.0, FACE_PX)[:] = 1000
    points[:] = 1000
    assert one_euro(np.zeros((4, 2), np.float32), 0.03, FACE_PX).max() == 0
    assert one_euro(np.zeros((4, 2), np.float32), 0.06, 0.0).dtype == np.float32
