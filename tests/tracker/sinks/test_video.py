"""The annotated-video sink on small files made here: times, audio, sizes, errors, interruption."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import textwrap
import threading
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame

from models.errors import FewmarkError
from tracker.sinks import AnnotatedVideoSink
from tracker.sinks.sink_thread import QUEUE_RESULTS
from tracker.types import Frame, ImageArray, SourceInfo, TrackingResult

RATE = 44_100  # Hz
BEEP_S = 1.0  # when the test tone begins


def info(frame_rate: float | None = 25.0, is_live: bool = False) -> SourceInfo:
    return SourceInfo("test", 64, 48, frame_rate, None, is_live)


def result(
    time_s: float, size: tuple[int, int] = (48, 64), colour: tuple[int, int, int] = (200, 80, 40)
) -> TrackingResult:
    return TrackingResult(Frame(np.full((*size, 3), colour, np.uint8), 0, time_s), ())


def plain(tracking: TrackingResult) -> ImageArray:
    return tracking.frame.image


def frame_times(path: Path) -> list[float]:
    """Presentation times (s) of the frames that can be read; a file that was cut off gives those before the cut."""
    times: list[float] = []
    with av.open(str(path)) as container, contextlib.suppress(av.error.InvalidDataError):
        times.extend(frame.time for frame in container.decode(video=0) if frame.time is not None)
    return times


def make_audio_file(path: Path, codec: str, start_s: float = 0.0, duration_s: float = 4.0) -> Path:
    """Silence, then a 440 Hz tone from ``BEEP_S`` on; the file's clock starts at ``start_s``."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE, layout="mono")
        t = np.arange(int(duration_s * RATE)) / RATE
        wave = np.where(t >= BEEP_S, 0.5 * np.sin(2 * np.pi * 440 * t), 0)
        samples = (wave * 32767).astype(np.int16)
        for at in range(0, len(samples), 1024):
            frame = AudioFrame.from_ndarray(samples[None, at : at + 1024], format="s16", layout="mono")
            frame.sample_rate = RATE
            frame.pts = at + round(start_s * RATE)
            frame.time_base = Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def audio_onset(path: Path) -> tuple[str, float, float]:
    """Codec, time at which the sound begins, time at which it ends (s)."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        onset, end = None, 0.0
        for frame in container.decode(stream):
            samples = frame.to_ndarray().astype(np.float64)
            samples = samples[0] if samples.shape[0] < 8 else samples
            if frame.format.name.startswith("s16"):
                samples = samples / 32768
            assert frame.time is not None
            loud = np.flatnonzero(np.abs(samples) > 0.1)
            if onset is None and len(loud):
                onset = frame.time + loud[0] / frame.sample_rate
            end = frame.time + frame.samples / frame.sample_rate
        assert onset is not None
        return stream.codec_context.codec.canonical_name, onset, end


def test_variable_times_are_kept_to_the_tick(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.05, 0.4, 1.4, 1.41, 2.0, 2.0 + 1001 / 30000]
    with AnnotatedVideoSink(tmp_path / "out.mp4", info(None), plain) as sink:
        for time_s in times:
            sink.write(result(time_s))
    assert frame_times(tmp_path / "out.mp4") == pytest.approx(times, abs=1 / 90_000)
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize(
    ("start_s", "is_live", "first", "expected"),
    [
        (10.0, False, 10.02, 0.02),  # a range of a file: its start is 0
        (0.0, False, 5000.0, 0.0),  # a stream whose clock starts anywhere: no empty stretch before it
        (10.0, False, 9.98, 0.0),  # the frame that is shown at the start
        (0.0, True, 0.5, 0.0),  # a camera's monotonic clock
    ],
)
def test_where_the_video_begins(tmp_path: Path, start_s: float, is_live: bool, first: float, expected: float) -> None:
    with AnnotatedVideoSink(tmp_path / "out.mp4", info(is_live=is_live), plain, start_s=start_s) as sink:
        for step in (0, 0.04, 0.1):
            sink.write(result(first + step))
    assert frame_times(tmp_path / "out.mp4") == pytest.approx([expected + step for step in (0, 0.04, 0.1)], abs=1e-4)


@pytest.mark.parametrize(
    ("rate", "times", "duration"),
    [(None, [0.0], 1.0), (None, [0.0, 1.0, 3.0], 5.0), (25.0, [0.0], 0.04), (25.0, [0.0, 0.04, 0.12], 0.16)],
)
def test_the_last_frame_has_a_duration(tmp_path: Path, rate: float | None, times: list[float], duration: float) -> None:
    with AnnotatedVideoSink(tmp_path / "out.mp4", info(rate), plain) as sink:
        for time_s in times:
            sink.write(result(time_s))
    assert frame_times(tmp_path / "out.mp4") == pytest.approx(times)
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.duration is not None
        assert float(stream.duration * stream.time_base) == pytest.approx(duration, abs=1e-4)


def test_a_doubled_time_moves_no_other(tmp_path: Path) -> None:
    with AnnotatedVideoSink(tmp_path / "out.mp4", info(25), plain) as sink:
        for time_s in (0, 0.04, 0.04, 0.08):
            sink.write(result(time_s))
    assert frame_times(tmp_path / "out.mp4") == pytest.approx([0, 0.04, 0.04, 0.08], abs=1e-4)


@pytest.mark.parametrize("size", [(48, 64), (47, 63), (1, 1), (47, 64)])
def test_colours_and_odd_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    with AnnotatedVideoSink(tmp_path / "out.mp4", info(), plain) as sink:
        sink.write(result(0, size))
    with av.open(str(tmp_path / "out.mp4")) as container:
        frame = next(container.decode(video=0))
    assert (frame.height, frame.width) == tuple(side + side % 2 for side in size)
    assert np.abs(frame.to_ndarray(format="rgb24").astype(int) - (200, 80, 40)).max() <= 4


def test_a_size_that_changes_midway_is_boxed(tmp_path: Path) -> None:
    with AnnotatedVideoSink(tmp_path / "out.mp4", info(), plain) as sink:
        sink.write(result(0, (48, 64)))
        sink.write(result(0.04, (96, 64)))
    with av.open(str(tmp_path / "out.mp4")) as container:
        _, second = (frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0))
    assert second.shape == (48, 64, 3)
    assert np.abs(second[:, 20:44] - (200, 80, 40)).max() <= 12
    assert second[:, :12].max() <= 12
    assert second[:, 52:].max() <= 12


@pytest.mark.parametrize(
    ("name", "codec", "expected"),
    [
        ("a.mp4", "aac", "aac"),
        ("a.ts", "aac", "aac"),
        ("a.mp3", "libmp3lame", "mp3"),
        ("a.mkv", "pcm_s16le", "aac"),
        ("a.ogg", "libopus", "aac"),
    ],
)
@pytest.mark.parametrize("start_s", [0.0, 0.7])
def test_audio_stays_in_step(tmp_path: Path, name: str, codec: str, expected: str, start_s: float) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV has no {codec}")
    rate = 48_000 if codec == "libopus" else RATE
    source = make_audio_file(tmp_path / name, codec) if rate == RATE else make_opus_file(tmp_path / name)
    clock = start_of(source)
    with AnnotatedVideoSink(tmp_path / "out.mp4", info(), plain, audio_from=source, start_s=clock + start_s) as sink:
        for step in range(50):
            sink.write(result(clock + start_s + step / 25))
    found, onset, end = audio_onset(tmp_path / "out.mp4")
    assert found == expected
    assert onset == pytest.approx(BEEP_S - start_s, abs=0.03)
    assert end == pytest.approx(2.0, abs=0.06)  # 50 frames: the rest of the audio is cut
    assert frame_times(tmp_path / "out.mp4") == pytest.approx([step / 25 for step in range(50)], abs=1e-4)


def start_of(path: Path) -> float:
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        # What stands before 0 in an MP4 or MP3 is the codec's priming; MPEG-TS starts its clock at 1.4 s.
        return float((stream.start_time or 0) * stream.time_base) if path.suffix == ".ts" else 0.0


def make_opus_file(path: Path) -> Path:
    wav = make_audio_file(path.with_suffix(".wav"), "pcm_s16le")
    with av.open(str(wav)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream("libopus", rate=48_000, layout="mono")
        for frame in source.decode(audio=0):
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return path


def test_a_source_without_audio_gives_a_video_without(tmp_path: Path) -> None:
    with AnnotatedVideoSink(tmp_path / "mute.mp4", info(), plain) as sink:
        sink.write(result(0))
    with AnnotatedVideoSink(tmp_path / "out.mp4", info(), plain, audio_from=tmp_path / "mute.mp4") as sink:
        sink.write(result(0))
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert not container.streams.audio


def test_audio_that_ends_early_or_is_cut_off_costs_no_frame(tmp_path: Path) -> None:
    source = make_audio_file(tmp_path / "a.mkv", "pcm_s16le", duration_s=1.5)
    source.write_bytes(source.read_bytes()[: source.stat().st_size * 9 // 10])
    with AnnotatedVideoSink(tmp_path / "out.mp4", info(), plain, audio_from=source) as sink:
        for step in range(75):
            sink.write(result(step / 25))
    assert len(frame_times(tmp_path / "out.mp4")) == 75


def test_a_run_without_frames_leaves_nothing(tmp_path: Path) -> None:
    AnnotatedVideoSink(tmp_path / "out.mp4", info(), plain).close()
    assert list(tmp_path.iterdir()) == []


def test_write_waits_for_a_slow_encoder_and_drops_nothing(tmp_path: Path) -> None:
    gate = threading.Semaphore(0)

    def slow(tracking: TrackingResult) -> ImageArray:
        gate.acquire()
        return tracking.frame.image

    count = QUEUE_RESULTS + 5
    with AnnotatedVideoSink(tmp_path / "out.mp4", info(), slow) as sink:
        writer = threading.Thread(target=lambda: [sink.write(result(i / 25)) for i in range(count)])
        writer.start()
        writer.join(0.2)
        assert writer.is_alive()  # the queue is full
        gate.release(count)
        writer.join(10)
        assert not writer.is_alive()
    assert len(frame_times(tmp_path / "out.mp4")) == count
    assert sink.frames_dropped == 0


def test_a_live_source_is_never_held_up(tmp_path: Path) -> None:
    gate = threading.Semaphore(0)

    def slow(tracking: TrackingResult) -> ImageArray:
        gate.acquire()
        return tracking.frame.image

    count = QUEUE_RESULTS + 5
    with AnnotatedVideoSink(tmp_path / "out.mp4", info(is_live=True), slow) as sink:
        for i in range(count):
            sink.write(result(1000 + i / 25))
        gate.release(count)
    assert sink.frames_dropped >= 4
    assert len(frame_times(tmp_path / "out.mp4")) == count - sink.frames_dropped


def test_an_error_in_the_thread_reaches_the_caller_once(tmp_path: Path) -> None:
    def broken(tracking: TrackingResult) -> ImageArray:
        if tracking.frame.time_s > 0.1:
            raise ZeroDivisionError("drawn badly")
        return tracking.frame.image

    def write_all(sink: AnnotatedVideoSink) -> None:
        for i in range(10_000):
            sink.write(result(i / 25))

    sink = AnnotatedVideoSink(tmp_path / "out.mp4", info(), broken)
    with pytest.raises(ZeroDivisionError, match="drawn badly"):
        write_all(sink)
    with pytest.raises(ZeroDivisionError):
        sink.write(result(9))
    sink.close()
    assert len(frame_times(tmp_path / "out.part.mp4")) == 3  # nothing lost that was drawn
    with pytest.raises(ZeroDivisionError), AnnotatedVideoSink(tmp_path / "b.mp4", info(), broken) as late:
        late.write(result(1))


def test_a_missing_folder_and_a_wrong_name_are_told(tmp_path: Path) -> None:
    with pytest.raises(FewmarkError, match=r"out\.part\.mp4: cannot be created \(No such file"):
        AnnotatedVideoSink(tmp_path / "missing" / "out.mp4", info(), plain)
    with pytest.raises(FewmarkError, match=r"out\.avi: the annotated video is an MP4"):
        AnnotatedVideoSink(tmp_path / "out.avi", info(), plain)
    with pytest.raises(FewmarkError, match=r"gone\.mp4: its audio can't be opened \(No such file"):
        AnnotatedVideoSink(tmp_path / "out.mp4", info(), plain, audio_from=tmp_path / "gone.mp4")


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX's")
def test_a_full_disk_is_told_and_what_was_written_plays(tmp_path: Path) -> None:
    import resource

    rng = np.random.default_rng(0)

    def noise(_: TrackingResult) -> ImageArray:
        return rng.integers(0, 255, (96, 128, 3), np.uint8)

    def write_all() -> None:
        with AnnotatedVideoSink(tmp_path / "out.mp4", info(), noise) as sink:
            for i in range(2_000):
                sink.write(result(i / 25))

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, hard))  # as a disk with room for 1.5 MB
    try:
        with pytest.raises(FewmarkError, match=r"out\.part\.mp4: writing failed \(.*\); \d+ frames"):
            write_all()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not (tmp_path / "out.mp4").exists()
    assert len(frame_times(tmp_path / "out.part.mp4")) > 25


KILLED_RUN = """
    import os, signal, sys, time
    from pathlib import Path
    import numpy as np
    from tracker.sinks import AnnotatedVideoSink
    from tracker.types import Frame, SourceInfo, TrackingResult

    image = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    sink = AnnotatedVideoSink(Path(sys.argv[1]), SourceInfo("t", 160, 120, 25.0, None, False), lambda r: r.frame.image)
    with sink:
        for i in range(300):
            sink.write(TrackingResult(Frame(image, i, i / 25), ()))
        if sys.argv[2] == "interrupt":
            raise KeyboardInterrupt
        while sink._writer.images_written < 300:
            time.sleep(0.01)
        os._exit(9)
"""


@pytest.mark.parametrize("how", ["interrupt", "kill"])
def test_an_interrupted_run_is_completed_and_a_killed_one_plays(tmp_path: Path, how: str) -> None:
    root = Path(__file__).parents[3]
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED_RUN), str(tmp_path / "out.mp4"), how],
        cwd=root,
        capture_output=True,
        check=False,
        timeout=300,
    )
    if how == "interrupt":
        assert len(frame_times(tmp_path / "out.mp4")) == 300
    else:
        assert 200 <= len(frame_times(tmp_path / "out.part.mp4")) <= 300


@pytest.mark.parametrize(("name", "from_s"), [("face_then_none.mov", 2.0), ("same_clip.mp4", 0.0)])
def test_a_real_clip_keeps_its_times_and_its_audio(tmp_path: Path, shared_data: Path, name: str, from_s: float) -> None:
    """A variable frame rate with audio that begins late; audio that begins a second before the picture."""
    source = shared_data / "videos" / name
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        times = [float(p.pts * stream.time_base) for p in container.demux(stream) if p.pts is not None]
    times = sorted(time_s for time_s in times if time_s >= from_s)[:30]
    with AnnotatedVideoSink(tmp_path / "out.mp4", info(), plain, audio_from=source, start_s=from_s) as sink:
        for time_s in times:
            sink.write(result(time_s))
    assert frame_times(tmp_path / "out.mp4") == pytest.approx([time_s - from_s for time_s in times], abs=1 / 90_000)
    payload = {bytes(p): p.pts * p.time_base for p in audio_packets(source)}
    copied = [(p.pts * p.time_base, payload[bytes(p)]) for p in audio_packets(tmp_path / "out.mp4")]
    assert len(copied) > 20
    assert all(float(there - here) == pytest.approx(from_s, abs=0.001) for here, there in copied)


def audio_packets(path: Path) -> list[av.Packet]:
    with av.open(str(path)) as container:
        return [packet for packet in container.demux(audio=0) if packet.pts is not None]
