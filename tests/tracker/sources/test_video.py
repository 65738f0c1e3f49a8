"""Video files: times, rotation, seeking, damage; on files made here and on real ones."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from models.errors import FewmarkError
from tracker.sources import VideoFile, open_source

VIDEOS = Path(os.environ.get("FEWMARK_SHARED") or Path(__file__).parents[4] / "shared") / "data/videos"
needs_videos = pytest.mark.skipif(not VIDEOS.is_dir(), reason="the real videos (../shared/data) are not here")


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def grey_of(index: int) -> int:
    return 20 + 3 * index % 210


def write_video(
    path: Path,
    count: int = 60,
    *,
    size: tuple[int, int] = (160, 96),
    codec: str = "libx264",
    times_ms: list[int] | None = None,
    rotation: tuple[int, bool, bool] | None = None,
    options: dict[str, str] | None = None,
    codec_options: dict[str, str] | None = None,
    image: Any = None,
) -> Path:
    """Frame i is flat grey ``grey_of(i)`` with a strip of noise, unless ``image`` is given."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=30, options=codec_options or {"g": "12"})
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        if times_ms is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotation is not None:
            stream.set_display_rotation(*rotation)
        for i in range(count):
            picture = image
            if picture is None:
                picture = np.full((size[1], size[0], 3), grey_of(i), np.uint8)
                picture[:16] = rng.integers(0, 255, (16, size[0], 3))
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            if times_ms is not None:
                frame.pts, frame.time_base = times_ms[i], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_audio(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def shown_index(image: np.ndarray) -> int:
    return round((float(image[20:].mean()) - 20) / 3)


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "libx264"),
        ("a.mkv", "libx264"),
        ("a.ts", "libx264"),
        ("a.avi", "libx264"),
        ("m.avi", "mjpeg"),
        ("a.mov", "libx265"),
        ("a.webm", "libvpx-vp9"),
    ],
)
def test_every_frame_comes_once_in_order(tmp_path: Path, name: str, codec: str) -> None:
    with open_source(write_video(tmp_path / name, 40, codec=codec)) as source:
        assert (source.info.width, source.info.height, source.info.is_live) == (160, 96, False)
        assert source.info.frame_rate == pytest.approx(30, rel=0.02)
        frames = list(source)
    assert [frame.index for frame in frames] == list(range(40))
    assert [shown_index(frame.image) for frame in frames] == list(range(40))
    times = np.array([frame.time_s for frame in frames])
    np.testing.assert_allclose(np.diff(times), 1 / 30, atol=2e-3)
    assert all(f.image.shape == (96, 160, 3) and f.image.dtype == np.uint8 for f in frames)
    assert all(f.image.flags.c_contiguous for f in frames)
    assert source.warnings == []


def test_variable_frame_rate_is_kept(tmp_path: Path) -> None:
    times_ms = list(itertools.accumulate([0, *[20, 20, 100, 35, 400] * 5]))
    path = write_video(tmp_path / "vfr.mkv", len(times_ms), times_ms=times_ms)
    with open_source(path) as source:
        assert [round(1000 * frame.time_s) for frame in source] == times_ms


def test_irregular_intervals_state_no_frame_rate(tmp_path: Path) -> None:
    times_ms = list(itertools.accumulate([0, *[20, 20, 100, 35, 400] * 5]))
    with open_source(write_video(tmp_path / "vfr.mp4", len(times_ms), times_ms=times_ms)) as source:
        assert source.info.frame_rate is None
        assert source.info.frame_count == len(times_ms)


def test_raw_stream_without_times_takes_the_rate_that_its_codec_states_and_says_so(tmp_path: Path) -> None:
    with open_source(write_video(tmp_path / "raw.h264", 10)) as source:
        times = [frame.time_s for frame in source]
    np.testing.assert_allclose(np.diff(times), 1 / 30)
    assert any("no usable presentation time" in text for text in source.warnings)


@pytest.mark.parametrize("flip", [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize("degrees", [0, 90, -90, 180])
def test_display_matrix_is_applied(tmp_path: Path, degrees: int, flip: tuple[bool, bool]) -> None:
    upright = np.zeros((96, 160, 3), np.uint8)
    upright[:48, :80] = (255, 0, 0)
    upright[48:, :80] = (0, 255, 0)
    upright[:48, 80:] = (0, 0, 255)
    with open_source(write_video(tmp_path / "r.mp4", 2, rotation=(degrees, *flip), image=upright)) as source:
        image = next(iter(source)).image
        assert (source.info.height, source.info.width) == image.shape[:2]
    expected = np.rot90(upright, degrees // 90)  # both count counterclockwise
    expected = expected[:, ::-1] if flip[0] else expected
    expected = expected[::-1] if flip[1] else expected
    # The encoder's colours bleed at the edges of the fields only.
    assert image.shape == expected.shape
    assert np.median(np.abs(image.astype(int) - expected)) < 8
    assert np.mean(np.abs(image.astype(int) - expected)) < 12


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.avi", "raw.h264"])
@pytest.mark.parametrize(("start_s", "end_s"), [(0.5, None), (1.21, 1.5), (None, 0.3), (0.0, 0.2), (1.9, None)])
def test_range_selects_the_same_frames_as_a_full_read(
    tmp_path: Path, name: str, start_s: float | None, end_s: float | None
) -> None:
    path = write_video(tmp_path / name)
    with open_source(path) as source:
        everything = [(frame.index, frame.time_s, frame.image) for frame in source]
    with open_source(path, start_s=start_s, end_s=end_s) as source:
        selected = [(frame.index, frame.time_s, frame.image) for frame in source]
    first, last = start_s or 0.0, end_s or 1e9
    expected = [entry for entry in everything if first <= entry[1] < last]
    assert [entry[:2] for entry in selected] == [entry[:2] for entry in expected]
    for (*_, image), (*_, full) in zip(selected, expected, strict=True):
        np.testing.assert_array_equal(image, full)


def test_start_seeks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tracker.sources import video_input

    decoded = []
    real = video_input.decode_frames

    def counted(*args: Any) -> Iterator[av.VideoFrame]:
        for frame in real(*args):
            decoded.append(frame.pts)
            yield frame

    monkeypatch.setattr(video_input, "decode_frames", counted)
    with open_source(write_video(tmp_path / "a.mp4"), start_s=1.9) as source:
        assert [frame.index for frame in source] == [57, 58, 59]
    assert len(decoded) <= 12  # one group of pictures, not sixty frames


@pytest.mark.parametrize(
    ("start_s", "end_s"), [(-1.0, None), (2.0, 1.0), (1.0, 1.0), (float("nan"), None), (None, 0.0)]
)
def test_impossible_range_is_refused(tmp_path: Path, start_s: float | None, end_s: float | None) -> None:
    with pytest.raises(FewmarkError, match=r"a\.mp4: (start|end)"):
        open_source(write_video(tmp_path / "a.mp4", 3), start_s=start_s, end_s=end_s)


def test_start_after_the_end_names_the_last_time(tmp_path: Path) -> None:
    with pytest.raises(FewmarkError, match=r"start 99 s lies after its last frame \(1\.97 s\)"):
        open_source(write_video(tmp_path / "a.mp4"), start_s=99)


def test_size_change_midway_delivers_each_frame_as_it_is(tmp_path: Path) -> None:
    large, small = write_video(tmp_path / "a.ts", 20), write_video(tmp_path / "b.ts", 15, size=(96, 64))
    joined = tmp_path / "joined.ts"
    joined.write_bytes(large.read_bytes() + small.read_bytes())
    with open_source(joined) as source:
        frames = list(source)
    assert [f.image.shape[:2] for f in frames] == [(96, 160)] * 20 + [(64, 96)] * 15
    assert (np.diff([f.time_s for f in frames]) > 0).all()
    np.testing.assert_allclose(np.diff([f.time_s for f in frames]), 1 / 30, atol=2e-3)


@pytest.mark.parametrize(
    ("name", "options"), [("a.mp4", {"movflags": "faststart"}), ("a.mkv", {}), ("a.avi", {}), ("a.gif", {})]
)
def test_cut_off_file_delivers_what_is_there_and_says_so(tmp_path: Path, name: str, options: dict[str, str]) -> None:
    if name == "a.gif":
        if not VIDEOS.is_dir():
            pytest.skip("the real GIF (../shared/data) is not here")
        path = tmp_path / name
        path.write_bytes((VIDEOS / "head_turns_two_people.gif").read_bytes())
    else:
        path = write_video(tmp_path / name, options=options)
    with open_source(cut(path, 0.6)) as source:
        frames = list(source)
    assert 15 < len(frames) < 50
    assert [text for text in source.warnings if "cut off" in text]


@pytest.mark.parametrize("left_over", [1, 90, 187])
def test_cut_off_transport_stream_says_so(tmp_path: Path, left_over: int) -> None:
    """Wherever it was cut: the decoder alone notices some incomplete pictures, and others not."""
    path = write_video(tmp_path / "a.ts")
    data = path.read_bytes()
    path.write_bytes(data[: int(0.6 * len(data)) // 188 * 188 + left_over])
    with open_source(path) as source:
        assert len(list(source)) > 20
    assert [text for text in source.warnings if "in the middle of a transport packet" in text]


def test_whole_transport_stream_is_not_called_cut_off(tmp_path: Path) -> None:
    with open_source(write_video(tmp_path / "a.ts")) as source:
        assert len(list(source)) == 60
    assert not source.warnings


def test_damage_in_the_middle_skips_and_counts(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", options={"movflags": "faststart"})
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = np.random.default_rng(1).integers(0, 255, 3000, np.uint8).tobytes()
    path.write_bytes(data)
    with open_source(path) as source:
        frames = list(source)
    assert 30 < len(frames) <= 60
    assert (np.diff([f.time_s for f in frames]) > 0).all()
    assert any("could not be decoded" in text or "damaged" in text for text in source.warnings)


def test_index_lost_mp4_is_refused_with_the_likely_cause(tmp_path: Path) -> None:
    with pytest.raises(FewmarkError, match=r"a\.mp4: cannot be opened as a video .*cut off before its index"):
        open_source(cut(write_video(tmp_path / "a.mp4"), 0.6))


def test_no_decodable_frame_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 5, options={"movflags": "faststart"})
    data = bytearray(path.read_bytes())
    start = data.rindex(b"mdat") + 4
    data[start:] = bytes(len(data) - start)
    path.write_bytes(data)
    with pytest.raises(FewmarkError, match="no frame could be decoded"):
        open_source(path)


def test_bad_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FewmarkError, match=r"nowhere\.mp4: no such file"):
        open_source(tmp_path / "nowhere.mp4")
    with pytest.raises(FewmarkError, match=r"nowhere\.mp4: cannot be read"):
        VideoFile(tmp_path / "nowhere.mp4")
    (tmp_path / "text.mp4").write_text("hello\n" * 100)
    with pytest.raises(FewmarkError, match=r"text\.mp4: cannot be opened as a video"):
        open_source(tmp_path / "text.mp4")
    (tmp_path / "zero.mp4").touch()
    with pytest.raises(FewmarkError, match=r"zero\.mp4: the file is empty"):
        open_source(tmp_path / "zero.mp4")
    with pytest.raises(FewmarkError, match=r"audio\.mp4: no video stream \(found: audio/aac\)"):
        open_source(write_audio(tmp_path / "audio.mp4"))


def test_names_with_colons_percents_and_umlauts(tmp_path: Path) -> None:
    name = "Gesicht %03d – größer.mp4" if av.__file__[1:2] == ":" else "data: Gesicht %03d – größer.mp4"
    with open_source(write_video(tmp_path / "a.mp4", 3).rename(tmp_path / name)) as source:
        assert len(list(source)) == 3


def test_early_end_leaves_no_thread_and_a_second_iteration_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4")
    with open_source(path) as source:
        for _ in source:
            break
        assert not [t for t in threading.enumerate() if t.name == "read ahead"]  # the iterator was dropped
        with pytest.raises(RuntimeError, match="iterated once"):
            iter(source)
    source = open_source(path)
    frames = iter(source)
    next(frames)
    assert [t for t in threading.enumerate() if t.name == "read ahead"]
    source.close()
    source.close()
    open_source(path).close()


def test_memory_holds_a_few_frames_only(tmp_path: Path) -> None:
    import gc
    import weakref

    with open_source(write_video(tmp_path / "a.mp4")) as source:
        alive: list[weakref.ref[np.ndarray]] = []
        for frame in source:
            alive.append(weakref.ref(frame.image))
    del frame
    gc.collect()
    assert sum(ref() is not None for ref in alive) == 0


@needs_videos
@pytest.mark.parametrize(
    ("name", "count", "size", "rate"),
    [
        ("face_then_none.mov", 169, (960, 540), None),
        ("head_turns_two_people.gif", 56, (480, 270), 12.0),
        ("hand_over_face_eat.mkv", 47, (640, 480), 30.0),
        ("no_face.mp4", 95, (960, 540), 24.0),
        ("same_clip.mp4", 30, (1920, 1080), 30.0),
        ("same_clip.avi", 30, (1920, 1080), 30.0),
    ],
)
def test_real_video_in_full(name: str, count: int, size: tuple[int, int], rate: float | None) -> None:
    with open_source(VIDEOS / name) as source:
        assert (source.info.width, source.info.height) == size
        assert source.info.frame_rate == (None if rate is None else pytest.approx(rate, rel=0.01))
        assert source.info.frame_count == pytest.approx(count, abs=1)
        times = [frame.time_s for frame in source]
    assert len(times) == count
    assert (np.diff(times) > 0).all()
    assert source.warnings == []


@needs_videos
def test_real_variable_frame_rate_is_kept() -> None:
    with open_source(VIDEOS / "face_then_none.mov") as source:
        steps = np.diff([frame.time_s for frame in source])
    assert {round(15360 * step) for step in steps} == {210, 461, 512, 640}


@needs_videos
def test_both_containers_give_the_same_times_and_pictures() -> None:
    with open_source(VIDEOS / "same_clip.mp4") as mp4, open_source(VIDEOS / "same_clip.avi") as avi:
        for one, other in zip(mp4, avi, strict=True):
            assert one.time_s == pytest.approx(other.time_s, abs=0.02)
            np.testing.assert_array_equal(one.image[::8, ::8], other.image[::8, ::8])


@needs_videos
@pytest.mark.parametrize("name", ["no_face.mp4", "face_then_none.mov", "hand_over_face_eat.mkv"])
def test_real_video_keeps_its_index_from_a_start(name: str) -> None:
    with open_source(VIDEOS / name) as source:
        everything = [(frame.index, frame.time_s) for frame in source]
    for start_s in (0.4, 1.5):
        with open_source(VIDEOS / name, start_s=start_s) as source:
            assert [(f.index, f.time_s) for f in source] == [entry for entry in everything if entry[1] >= start_s]


@needs_videos
def test_upright_phone_video_is_upright_and_720p_sizes_hold() -> None:
    for name, shape in [("portrait_720x1280.mp4", (1280, 720, 3)), ("two_faces_720p.mp4", (720, 1280, 3))]:
        with open_source(VIDEOS / name) as source:
            frames = list(itertools.islice(source, 5))
        assert {frame.image.shape for frame in frames} == {shape}
        assert (np.diff([frame.time_s for frame in frames]) > 0).all()
