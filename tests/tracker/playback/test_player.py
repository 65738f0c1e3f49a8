"""A recording played by its own clock, on real files made here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest

from tracker.playback import Failed, Opened, Player, PlayerEvent, Shown

RATE = 50  # frames/s


class Audience:
    """Collects what a player delivers, and waits for it."""

    def __init__(self) -> None:
        self.events: list[PlayerEvent] = []

    def __call__(self, event: PlayerEvent) -> None:
        self.events.append(event)

    @property
    def shown(self) -> list[Shown]:
        return [event for event in self.events if isinstance(event, Shown)]

    def wait_for(self, wanted: Callable[[PlayerEvent], bool], timeout_s: float = 20.0) -> PlayerEvent:
        """The first event of that kind; those before it are forgotten."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            for i, event in enumerate(list(self.events)):
                if wanted(event):
                    del self.events[: i + 1]
                    return event
            time.sleep(0.002)
        raise AssertionError(f"not among {self.events}")

    def wait_for_frame(self, index: int, *, playing: bool = False) -> Shown:
        event = self.wait_for(
            lambda event: isinstance(event, Shown) and (event.frame.index, event.playing) == (index, playing)
        )
        assert isinstance(event, Shown)
        return event


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """25 frames in half a second."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"g": "10"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(25):
            picture = np.full((48, 64, 3), 8 * i, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))
    return path


@contextmanager
def playing(path: Path) -> Iterator[tuple[Player, Audience]]:
    audience = Audience()
    player = Player(path, audience)
    try:
        yield player, audience
    finally:
        player.request_end()
        assert player.join(10)


def test_it_begins_with_the_first_frame_and_stays_there(film: Path) -> None:
    with playing(film) as (_, audience):
        opened = audience.wait_for(lambda event: isinstance(event, Opened))
        assert isinstance(opened, Opened)
        assert (opened.info.width, len(opened.time_s)) == (64, 25)
        audience.wait_for_frame(0)
        time.sleep(0.1)
        assert audience.shown == []


def test_it_plays_in_the_recordings_own_time_and_stops_at_the_end(film: Path) -> None:
    with playing(film) as (player, audience):
        audience.wait_for_frame(0)
        began = time.monotonic()
        player.play()
        last = audience.wait_for_frame(24)
        assert not last.playing
        assert time.monotonic() - began >= 24 / RATE  # never faster; slower where this machine is busy
        player.play()  # at the end: from the beginning
        audience.wait_for_frame(0, playing=True)


def test_frames_are_shown_in_order_and_none_twice(film: Path) -> None:
    with playing(film) as (player, audience):
        audience.wait_for_frame(0)
        player.set_speed(0.5)
        player.play()
        audience.wait_for(lambda event: isinstance(event, Shown) and event.frame.index >= 20)
        player.pause()
        indices = [event.frame.index for event in audience.shown if event.playing]
        assert indices == sorted(set(indices))


def test_of_several_requests_the_newest_counts(film: Path) -> None:
    with playing(film) as (player, audience):
        audience.wait_for_frame(0)
        for index in range(25):
            player.seek(index)
        audience.wait_for_frame(24)
        player.seek(1000)
        audience.wait_for_frame(24)
        player.step(-1)
        audience.wait_for_frame(23)
        player.step(-1)
        player.step(-1)
        audience.wait_for_frame(21)
        player.show_again()
        audience.wait_for_frame(21)


def test_pausing_tells_which_frame_stays(film: Path) -> None:
    with playing(film) as (player, audience):
        audience.wait_for_frame(0)
        player.set_speed(0.25)
        player.play()
        audience.wait_for(lambda event: isinstance(event, Shown) and event.playing)
        player.pause()
        stays = audience.wait_for(lambda event: isinstance(event, Shown) and not event.playing)
        assert isinstance(stays, Shown)
        time.sleep(0.1)
        assert audience.shown == []
        player.step(1)
        audience.wait_for_frame(stays.frame.index + 1)


def test_a_loop_begins_again(film: Path) -> None:
    with playing(film) as (player, audience):
        audience.wait_for_frame(0)
        player.set_loop(True)
        player.seek(22)
        player.play()
        audience.wait_for(lambda event: isinstance(event, Shown) and event.frame.index == 24)
        audience.wait_for_frame(0, playing=True)


def test_a_file_that_can_not_be_opened_is_told(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(b"no film" * 50)
    with playing(tmp_path / "film.mp4") as (player, audience):
        failed = audience.wait_for(lambda event: isinstance(event, Failed))
        assert isinstance(failed, Failed)
        assert "cannot be opened as a video" in failed.message
        player.play()
        player.seek(3)


def test_it_ends_while_it_plays(film: Path) -> None:
    audience = Audience()
    player = Player(film, audience)
    player.play()
    audience.wait_for(lambda event: isinstance(event, Shown))
    player.request_end()
    assert player.join(2)
