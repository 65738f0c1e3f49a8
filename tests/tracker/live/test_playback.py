"""Recordings that play as cameras do, on the clip that is shipped."""

from __future__ import annotations

import time
from functools import partial
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.errors import FewmarkError
from tracker.files.assets import demo_clip
from tracker.live import PacedSource, SourceRequest, open_live_source
from tracker.live.playback import names_a_file
from tracker.sources import open_source
from tracker.sources.base import SingleUseSource
from tracker.types import Frame, SourceInfo


class ShortRecording(SingleUseSource):
    """Frames at given presentation times."""

    def __init__(self, times_s: tuple[float, ...], *, are_stills: bool = False) -> None:
        super().__init__("recording")
        self.times_s = times_s
        self.info = SourceInfo("recording", 8, 6, 20.0, len(times_s), is_live=False, are_stills=are_stills)
        self.closed = False

    def _iterate(self):  # type: ignore[no-untyped-def]
        for i, time_s in enumerate(self.times_s):
            yield Frame(np.full((6, 8, 3), i, np.uint8), i, time_s)

    def close(self) -> None:
        super().close()
        self.closed = True


def test_frames_come_at_their_presentation_times_and_begin_again() -> None:
    opened: list[ShortRecording] = []

    def open_recording() -> ShortRecording:
        opened.append(ShortRecording((5.0, 5.03, 5.1)))  # a variable rate, and no start at 0
        return opened[-1]

    with PacedSource(open_recording) as source:
        assert (source.info.is_live, source.info.frame_count, source.info.frame_rate) == (True, None, 20.0)
        frames = []
        for frame in islice(source, 7):
            # Never early; how late depends on what else this machine does.
            assert time.perf_counter() >= frame.time_s
            frames.append(frame)
    times = np.array([frame.time_s for frame in frames]) - frames[0].time_s
    assert [frame.index for frame in frames] == [0, 1, 2, 0, 1, 2, 0]
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [0, 1, 2, 0, 1, 2, 0]
    lateness = times - [0, 0.03, 0.1, 0.15, 0.18, 0.25, 0.3]  # one frame of 20/s between the rounds
    assert (lateness > -1e-6).all()
    assert (np.diff(lateness) > -1e-6).all()
    assert len(opened) == 3
    assert all(recording.closed for recording in opened)


def test_a_film_that_is_held_up_goes_on_from_there() -> None:
    with PacedSource(lambda: ShortRecording((0.0, 0.05, 0.1, 0.15)), loop=False) as source:
        frames = iter(source)
        first = next(frames)
        time.sleep(0.5)
        rest = list(frames)
    assert len(rest) == 3
    assert rest[0].time_s - first.time_s >= 0.45
    assert rest[1].time_s - rest[0].time_s >= 0.05 - 1e-6


def test_closing_ends_a_film_that_waits_for_its_next_frame() -> None:
    from threading import Timer

    source = PacedSource(lambda: ShortRecording((0.0, 3600.0)))
    frames = iter(source)
    next(frames)
    closer = Timer(0.1, source.close)
    closer.start()
    assert list(frames) == []
    closer.join()


def test_photos_are_no_live_source(tmp_path: Path) -> None:
    with pytest.raises(FewmarkError, match="photos are no live source; name a video or a camera"):
        PacedSource(lambda: ShortRecording((0.0,), are_stills=True))
    photo = tmp_path / "photo.png"
    cv2.imwrite(str(photo), np.zeros((20, 20, 3), np.uint8))
    with pytest.raises(FewmarkError, match=r"photo\.png: photos are no live source"):
        open_live_source(SourceRequest(str(photo)))


def test_a_video_file_is_played_as_a_camera() -> None:
    with (
        open_live_source(SourceRequest(str(demo_clip()))) as live,
        open_source(demo_clip()) as file,
    ):
        assert isinstance(live, PacedSource)
        for shown, stored in islice(zip(live, file, strict=False), 3):
            assert (shown.image == stored.image).all()
    again = PacedSource(partial(open_source, demo_clip()))
    again.close()
    again.close()


@pytest.mark.parametrize(
    ("spec", "is_file"),
    [
        ("0", False),
        ("camera:046d:082d", False),
        ("rtsp://somewhere/stream", False),
        ("file:///films/a.mp4", True),
        ("films/a.mp4", True),
        ("10.mp4", True),
    ],
)
def test_files_are_told_from_what_may_come_back(spec: str, is_file: bool) -> None:
    assert names_a_file(spec) is is_file


def test_a_camera_that_is_not_there_is_named() -> None:
    with pytest.raises(FewmarkError, match="no such camera"):
        open_live_source(SourceRequest("camera:no such name"))
