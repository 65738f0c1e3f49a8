"""Any frame of a recording by its index: the same frames at the same times that the source gives in order."""

from __future__ import annotations

import itertools
import os
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import cv2
import numpy as np
import pytest

from models.errors import FewmarkError
from tracker.playback import open_reader
from tracker.playback.video_reader import VideoReader
from tracker.sources import open_source

VIDEOS = Path(os.environ.get("FEWMARK_SHARED") or Path(__file__).parents[4] / "shared") / "data/videos"
needs_videos = pytest.mark.skipif(not VIDEOS.is_dir(), reason="the real videos (../shared/data) are not here")
Codec = Literal["libx264", "libx265"]
ORDER = [0, 17, 3, 29, 28, 27, 11, 12, 0]  # forward, back, across keyframes


def write_video(path: Path, count: int = 30, *, codec: Codec = "libx264", times_ms: list[int] | None = None) -> Path:
    """Frame i is flat grey 20 + 5 i; a keyframe every 10."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options={"g": "10", "keyint_min": "10", "sc_threshold": "0"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        if times_ms is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for i in range(count):
            frame = av.VideoFrame.from_ndarray(np.full((64, 96, 3), 20 + 5 * i, np.uint8), "rgb24")
            if times_ms is not None:
                frame.pts, frame.time_base = times_ms[i], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def shown_index(image: np.ndarray) -> int:
    return round((float(image.mean()) - 20) / 5)


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "libx264"),
        ("a.mkv", "libx264"),
        ("a.ts", "libx264"),
        ("a.avi", "libx264"),
        ("a.mov", "libx265"),
        ("raw.h264", "libx264"),
    ],
)
def test_frames_come_in_any_order(tmp_path: Path, name: str, codec: Codec) -> None:
    path = write_video(tmp_path / name, codec=codec)
    with open_source(path) as source:
        times = [frame.time_s for frame in source]
    with open_reader(path) as reader:
        np.testing.assert_allclose(reader.time_s, times)
        for index in ORDER:
            frame = reader.read(index)
            assert frame is not None
            assert frame.index == index
            assert frame.time_s == pytest.approx(times[index])
            assert shown_index(frame.image) == index
            assert frame.image.shape == (64, 96, 3)
            assert frame.image.dtype == np.uint8


def test_variable_frame_rate_is_kept(tmp_path: Path) -> None:
    times_ms = list(itertools.accumulate([0, *[20, 20, 100, 35, 400] * 5]))
    with open_reader(write_video(tmp_path / "vfr.mkv", len(times_ms), times_ms=times_ms)) as reader:
        np.testing.assert_allclose(reader.time_s, np.array(times_ms) / 1000)
        frame = reader.read(11)
        assert frame is not None
        assert (shown_index(frame.image), frame.time_s) == (11, times_ms[11] / 1000)


def test_steps_back_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    starts: list[int] = []
    start_at = VideoReader._start_at

    def counted(self: VideoReader, keyframe: int) -> None:
        starts.append(keyframe)
        start_at(self, keyframe)

    monkeypatch.setattr(VideoReader, "_start_at", counted)
    with open_reader(write_video(tmp_path / "a.mp4")) as reader:
        for index in (19, 18, 17, 16, 15):
            frame = reader.read(index)
            assert frame is not None
            assert shown_index(frame.image) == index
    assert starts == [10]


def test_the_cache_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracker.playback.frame_cache.CACHE_BYTES", 5 * 96 * 64 * 3 // 2)
    with open_reader(write_video(tmp_path / "a.mp4")) as reader:
        assert isinstance(reader, VideoReader)
        for index in (29, 20, 28, 2, 9):
            frame = reader.read(index)
            assert frame is not None
            assert shown_index(frame.image) == index
            assert len(list(reader._cache)) <= 5


def test_reading_can_be_cancelled(tmp_path: Path) -> None:
    with open_reader(write_video(tmp_path / "a.mp4")) as reader:
        assert reader.read(9, is_cancelled=lambda: True) is None
        frame = reader.read(9)
        assert frame is not None
        assert shown_index(frame.image) == 9


def test_a_damaged_stretch_gives_the_nearest_frame(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.ts")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 188 * 3] = b"\x47\x1f\xff\x10" * (188 * 3 // 4)  # null packets
    path.write_bytes(data)
    with open_reader(path) as reader:
        for index in range(len(reader.time_s)):
            frame = reader.read(index)
            assert frame is not None
            assert abs(frame.index - index) <= 10


def test_a_file_that_is_cut_off_shows_what_there_is(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.ts")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
    with open_reader(path) as reader:
        last = len(reader.time_s) - 1
        assert 5 < last < 29
        frame = reader.read(last)
        assert frame is not None
        assert frame.index <= last


def test_a_folder_of_images_is_a_film(tmp_path: Path) -> None:
    for i in range(4):
        cv2.imwrite(str(tmp_path / f"img{i}.png"), np.full((20, 30, 3), 40 * i, np.uint8))
    with open_reader(tmp_path, film_rate=10) as reader:
        np.testing.assert_allclose(reader.time_s, [0, 0.1, 0.2, 0.3])
        assert reader.info.frame_rate == 10
        frame = reader.read(2)
        assert frame is not None
        assert (frame.name, frame.index, frame.time_s, frame.image[0, 0, 0]) == ("img2.png", 2, 0.2, 80)
    (tmp_path / "img1.png").write_bytes(b"not an image")
    with open_reader(tmp_path, film_rate=10) as reader, pytest.raises(FewmarkError, match=r"img1\.png: not a readable"):
        reader.read(1)


def test_one_image_is_a_recording_of_one_frame(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "face.png"), np.zeros((20, 30, 3), np.uint8))
    with open_reader(tmp_path / "face.png") as reader:
        assert reader.time_s.tolist() == [0.0]
        assert reader.info.are_stills


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("empty.mp4", b"", "the file is empty"),
        ("text.mp4", b"hello" * 99, "cannot be opened as a video"),
        ("missing.mp4", None, "no such file"),
    ],
)
def test_what_can_not_be_shown_is_told_in_a_sentence(
    tmp_path: Path, name: str, content: bytes | None, sentence: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(FewmarkError, match=sentence):
        open_reader(tmp_path / name)


@needs_videos
@pytest.mark.parametrize(
    "name",
    ["face_then_none.mov", "same_clip.avi", "head_turns_two_people.gif", "no_face.mp4", "hand_over_face_eat.mkv"],
)
def test_real_videos_give_the_frames_that_tracking_sees(name: str) -> None:
    with open_source(VIDEOS / name) as source:
        frames = {frame.index: (frame.time_s, frame.image[::8, ::8].copy()) for frame in source}
    with open_reader(VIDEOS / name) as reader:
        assert len(reader.time_s) == len(frames)
        last = len(frames) - 1
        for index in (last, last // 2, last // 2 - 1, 1, last // 3, last // 3 + 1):
            frame = reader.read(index)
            assert frame is not None
            time_s, thumbnail = frames[index]
            assert frame.index == index
            assert frame.time_s == pytest.approx(time_s)
            np.testing.assert_array_equal(frame.image[::8, ::8], thumbnail)
