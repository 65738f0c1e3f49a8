"""Containers and their oddities: every frame once, at its own time, from the front, from a start, and in playback.

What is expected comes from what was written here, from the times of the packets as PyAV reads them and, where it is
installed, from ``ffmpeg -f framecrc``.
"""

from __future__ import annotations

import io
import math
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from tracker.playback import open_reader
from tracker.sources import open_source

COUNT, RATE = 24, 30
TIME_BASE = Fraction(1, 90_000)
STEP = 3000  # of TIME_BASE, between frames


@dataclass(frozen=True)
class Form:
    """A container with a codec in it."""

    suffix: str
    codec: str
    options: dict[str, str] = field(default_factory=lambda: {"g": "8"})  # the encoder's
    container: str | None = None  # FFmpeg's name, where the suffix is not enough

    def __str__(self) -> str:
        return f"{self.suffix}-{self.codec}"


FORMS = [
    Form("mp4", "libx264"),
    Form("mov", "mpeg4", {"g": "8", "bf": "2"}),
    Form("mkv", "libx264"),
    Form("mkv", "ffv1"),
    Form("webm", "libvpx"),
    Form("ts", "libx264"),
    Form("ts", "mpeg2video", {"g": "8", "bf": "2"}),
    Form("mpg", "mpeg2video", {"g": "8", "qmin": "1", "qmax": "1"}),
    Form("nut", "libx264"),
    Form("wmv", "msmpeg4", container="asf"),
    Form("flv", "libx264"),
    Form("ogv", "libvpx", container="ogg"),
]


def shown_index(image: np.ndarray) -> int:
    """The number that the five bars of a picture tell, black or white each."""
    bars = np.array_split(image[image.shape[0] // 2 :], 5, axis=1)
    return sum((float(bar.mean()) > 128) << bit for bit, bar in enumerate(bars))


def pictures(count: int = COUNT, size: tuple[int, int] = (96, 64)) -> Iterable[av.VideoFrame]:
    """Frame i shows i in bars, below a strip of noise."""
    rng = np.random.default_rng(0)
    for i in range(count):
        picture = np.zeros((size[1], size[0], 3), np.uint8)
        for bit, bar in enumerate(np.array_split(picture, 5, axis=1)):
            bar[:] = 255 * (i >> bit & 1)
        picture[:16] = rng.integers(0, 255, (16, size[0], 3))
        frame = av.VideoFrame.from_ndarray(picture, "rgb24")
        frame.pts, frame.time_base = i * STEP, TIME_BASE
        yield frame


def write(
    path: Path,
    form: Form,
    *,
    start_s: float = 0.0,
    skip: int = 0,
    muxer: dict[str, str] | None = None,
    with_audio: bool = False,
    audio_s: float = 0.1,
) -> Path:
    """``COUNT`` frames from ``start_s`` on; ``skip`` packets are left out at the front, in decoding order."""
    with av.open(str(path), "w", format=form.container, options=muxer or {}) as container:
        stream = container.add_stream(form.codec, rate=RATE, options=form.options)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        if with_audio:
            sound = container.add_stream("aac", rate=8000)
        packets = [p for frame in [*pictures(), None] for p in stream.encode(frame)]
        for packet in packets[skip:]:
            shift = round(Fraction(start_s) / packet.time_base)
            packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
            container.mux(packet)
        if with_audio:
            for _ in range(math.ceil(audio_s * 8000 / 1024)):
                silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
                silence.rate = 8000
                container.mux(sound.encode(silence))
            container.mux(sound.encode(None))
    return path


def packet_times(path: Path) -> list[float]:
    """Presentation times of the pictures that the file says are to be shown."""
    with av.open(str(path)) as container:
        packets = list(container.demux(container.streams.best("video")))
    return sorted(float(p.pts * p.time_base) for p in packets if p.size and not p.is_discard)


def check_all_ways(path: Path, expected: list[int], times: list[float], *, atol: float = 1e-6) -> None:
    """The pictures with these indices at these times, whichever way the file is read."""
    with open_source(path) as source:
        frames = list(source)
    assert source.warnings == []
    assert [frame.index for frame in frames] == list(range(len(expected)))
    assert [shown_index(frame.image) for frame in frames] == expected
    np.testing.assert_allclose([frame.time_s for frame in frames], times, atol=atol)
    late = max(times[len(times) * 2 // 3] - 1e-3, 0.0)
    with open_source(path, start_s=late) as source:
        selected = [(frame.index, frame.time_s) for frame in source]
    assert selected == [(frame.index, frame.time_s) for frame in frames if frame.time_s >= late]
    with open_reader(path) as reader:
        np.testing.assert_allclose(reader.time_s, times, atol=atol)
        for index in (len(expected) - 1, 0, len(expected) // 2):
            frame = reader.read(index)
            assert frame is not None
            assert (frame.index, shown_index(frame.image)) == (index, expected[index])


@pytest.mark.parametrize("start_s", [0.0, 0.7, 3600.0])
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_a_start_time_moves_the_frames_and_is_not_a_length(tmp_path: Path, form: Form, start_s: float) -> None:
    path = write(tmp_path / f"a.{form.suffix}", form, start_s=start_s)
    times = packet_times(path)
    np.testing.assert_allclose(np.diff(times), 1 / RATE, atol=2e-3)
    assert times[0] == pytest.approx(start_s, abs=1.6)  # some containers leave room for buffers, or begin at 0
    check_all_ways(path, list(range(COUNT)), times)
    with open_source(path) as source:
        assert source.info.frame_count in (None, *range(COUNT - 2, COUNT + 4))  # a progress bar's estimate


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "nut"])
def test_a_start_time_beside_earlier_audio_is_kept(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a.{suffix}", Form(suffix, "libx264"), start_s=0.7, with_audio=True)
    times = packet_times(path)
    assert times[0] == pytest.approx(0.7, abs=0.08)
    check_all_ways(path, list(range(COUNT)), times)


@pytest.mark.parametrize("suffix", ["mkv", "webm"])
def test_a_matroska_that_is_cut_off_says_so_whatever_its_start(tmp_path: Path, suffix: str) -> None:
    form = Form(suffix, "libx264" if suffix == "mkv" else "libvpx", {"g": "2"})
    path = write(tmp_path / f"a.{suffix}", form, start_s=3600.0)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 3])
    with open_source(path) as source:
        assert 0 < len(list(source)) < COUNT - 6
    assert [text for text in source.warnings if "header announces 3600.80 s; the file is cut off" in text]


@pytest.mark.parametrize("form", [Form("mkv", "libx264"), Form("webm", "libvpx"), Form("mp4", "libx264")], ids=str)
def test_a_download_that_was_never_filled_says_so(tmp_path: Path, form: Form) -> None:
    path = write(tmp_path / f"a.{form.suffix}", form, muxer={"movflags": "faststart"} if form.suffix == "mp4" else {})
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))
    with open_source(path) as source:
        assert 0 < len(list(source)) < COUNT
    assert source.warnings


@pytest.mark.parametrize("cut", [False, True])
def test_a_matroska_that_states_its_length_and_not_its_end_is_understood(tmp_path: Path, cut: bool) -> None:
    """FFmpeg puts the time of the end into the tag DURATION, mkvmerge the length."""
    path = write(tmp_path / "a.mkv", Form("mkv", "libx264", {"g": "2"}), start_s=3600.0)
    data = path.read_bytes()
    assert data.count(b"01:00:00.800000000") == 1
    data = data.replace(b"01:00:00.800000000", b"00:00:00.800000000")
    path.write_bytes(data[: len(data) // 3] if cut else data)
    with open_source(path) as source:
        assert (len(list(source)) < COUNT) == cut
        assert [text for text in source.warnings if "announces 3600.80 s" in text] or not cut
        assert cut or source.warnings == []


@pytest.mark.parametrize(
    ("suffix", "codec"), [("mp4", "libx264"), ("mov", "mpeg4"), ("mkv", "libx264"), ("webm", "libvpx"), ("nut", "ffv1")]
)
def test_a_last_picture_that_is_shown_for_long_is_no_cut(tmp_path: Path, suffix: str, codec: str) -> None:
    path = tmp_path / f"a.{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE, options={"bf": "0"} if codec == "libx264" else {})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        packets = [packet for frame in [*pictures(), None] for packet in stream.encode(frame)]
        packets[-1].duration = round(5 / packets[-1].time_base)
        container.mux(packets)
    check_all_ways(path, list(range(COUNT)), [i / RATE for i in range(COUNT)], atol=6e-4)


@pytest.mark.parametrize(
    "form",
    [
        Form("mp4", "libx264"),
        Form("mkv", "libx264"),
        Form("ts", "libx264"),
        Form("wmv", "msmpeg4", container="asf"),
        Form("flv", "libx264"),
    ],
    ids=str,
)
def test_audio_that_goes_on_after_the_pictures_is_no_cut(tmp_path: Path, form: Form) -> None:
    path = write(tmp_path / f"a.{form.suffix}", form, with_audio=True, audio_s=5.0)
    check_all_ways(path, list(range(COUNT)), packet_times(path))


@pytest.mark.parametrize("suffix", ["mp4", "mov"])
def test_an_edit_list_hides_what_lies_before_0(tmp_path: Path, suffix: str) -> None:
    path = write(
        tmp_path / f"a.{suffix}", Form(suffix, "libx264"), start_s=-0.4, muxer={"avoid_negative_ts": "disabled"}
    )
    check_all_ways(path, list(range(12, COUNT)), [i / RATE for i in range(12)])


@pytest.mark.parametrize("suffix", ["mkv", "ts", "nut"])
def test_negative_times_are_moved_by_the_muxer_and_no_frame_is_lost(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a.{suffix}", Form(suffix, "libx264"), start_s=-0.4)
    check_all_ways(path, list(range(COUNT)), packet_times(path))


OPEN = {"x265-params": "keyint=8:min-keyint=8:open-gop=1:bframes=3:b-adapt=0:scenecut=0:log-level=none"}


@pytest.mark.parametrize(
    "form",
    [
        Form("ts", "mpeg2video", {"g": "8", "bf": "2"}),
        Form("mkv", "mpeg2video", {"g": "8", "bf": "2"}),
        Form("mp4", "libx265", OPEN),
        Form("mkv", "libx265", OPEN),
    ],
    ids=str,
)
def test_pictures_of_an_open_group_that_was_cut_off_count_nowhere(tmp_path: Path, form: Form) -> None:
    """A cut at a keyframe leaves pictures that are shown before it, and refer to others that are gone."""
    whole = write(tmp_path / f"whole.{form.suffix}", form)
    with av.open(str(whole)) as container:
        packets = [p for p in container.demux(container.streams.video[0]) if p.size]
    second = next(i for i, packet in enumerate(packets) if packet.is_keyframe and i)
    key = packets[second].pts
    later = sorted(p.pts for p in packets if p.pts >= key)
    assert any(p.pts < key for p in packets[second:])  # or it would be no open group
    path = write(tmp_path / f"cut.{form.suffix}", form, skip=second)
    check_all_ways(path, list(range(COUNT - len(later), COUNT)), packet_times(path)[-len(later) :])


@pytest.mark.parametrize(
    ("suffix", "muxer"),
    [
        ("mkv", {"live": "1"}),
        ("flv", {"flvflags": "no_duration_filesize"}),
        ("mp4", {"movflags": "empty_moov+frag_keyframe+default_base_moof"}),
    ],
)
def test_a_missing_duration_is_missed_by_nobody(tmp_path: Path, suffix: str, muxer: dict[str, str]) -> None:
    path = write(tmp_path / f"a.{suffix}", Form(suffix, "libx264"), muxer=muxer)
    check_all_ways(path, list(range(COUNT)), packet_times(path))


def test_a_matroska_that_was_written_into_a_pipe_is_whole(tmp_path: Path) -> None:
    class Pipe(io.RawIOBase):
        data = b""

        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:  # type: ignore[override]
            self.data += bytes(data)
            return len(data)

    pipe, whole = Pipe(), write(tmp_path / "whole.mkv", Form("mkv", "libx264"))
    with av.open(str(whole)) as source, av.open(pipe, "w", format="matroska") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = stream
                container.mux(packet)
    path = tmp_path / "piped.mkv"
    path.write_bytes(pipe.data)
    check_all_ways(path, list(range(COUNT)), packet_times(whole))


@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
def test_a_cover_that_comes_first_is_not_the_video(tmp_path: Path, suffix: str, marked: bool) -> None:
    path = tmp_path / f"a.{suffix}"
    with av.open(str(path), "w") as container:
        cover = container.add_stream("mjpeg", rate=RATE)
        cover.width, cover.height, cover.pix_fmt = 200, 200, "yuvj420p"
        if marked:
            cover.disposition = Disposition.attached_pic
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        picture = av.VideoFrame.from_ndarray(np.full((200, 200, 3), 250, np.uint8), "rgb24")
        container.mux([*cover.encode(picture), *cover.encode(None)])
        for frame in [*pictures(), None]:
            container.mux(stream.encode(frame))
    check_all_ways(
        path, list(range(COUNT)), [i / RATE for i in range(COUNT)], atol=6e-4
    )  # Matroska counts milliseconds


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_of_several_video_streams_one_is_read_and_it_alone(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("libx264", rate=RATE) for _ in range(2)]
        for stream, size in zip(streams, [(96, 64), (48, 96)], strict=True):
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for one, other in zip([*pictures(), None], [*pictures(size=(48, 96)), None], strict=True):
            container.mux(streams[0].encode(one))
            container.mux(streams[1].encode(other))
    with open_source(path) as source:
        assert len({frame.image.shape for frame in source}) == 1
    check_all_ways(path, list(range(COUNT)), packet_times(path))


@pytest.mark.parametrize(("suffix", "codec"), [("avi", "mjpeg"), ("avi", "mpeg4"), ("ivf", "libvpx-vp9")])
def test_a_header_that_counts_the_time_base_states_no_rate(tmp_path: Path, suffix: str, codec: str) -> None:
    """Some writers put the time base where the rate belongs: 1/600 s, 1/15360 s."""
    path = tmp_path / f"a.{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=600)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.time_base = Fraction(1, 15_360 if suffix == "ivf" else 600)
        for frame in [*pictures(), None]:
            container.mux(stream.encode(frame))
    with open_source(path) as source:
        assert len(list(source)) == COUNT
        assert source.info.frame_rate == pytest.approx(RATE, rel=0.05)
        assert source.warnings == []


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
@pytest.mark.parametrize("start_s", [0.0, 3600.0])
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_ffmpeg_shows_the_same_frames_at_the_same_times(tmp_path: Path, form: Form, start_s: float) -> None:
    path = write(tmp_path / f"a.{form.suffix}", form, start_s=start_s)
    command = ["ffmpeg", "-v", "error", "-copyts", "-i", str(path), "-map", "0:v:0", "-fps_mode", "passthrough"]
    crc = subprocess.run(
        [*command, "-enc_time_base", "1:90000", "-f", "framecrc", "-"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    unit = next(Fraction(line.split(":")[1].strip()) for line in crc if line.startswith("#tb"))
    shown = [float(int(line.split(",")[2]) * unit) for line in crc if not line.startswith("#")]
    with open_source(path) as source:
        np.testing.assert_allclose([frame.time_s for frame in source], shown, atol=1e-3)
