"""Images with times, encoded to an H.264 MP4. Single-threaded; ``annotated_video.py`` gives it a thread."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from av.video.stream import VideoStream

from models.errors import FewmarkError
from tracker.sinks.audio_track import AudioTrack
from tracker.sinks.base import cannot_continue, cannot_create
from tracker.types import ImageArray

TIME_BASE = Fraction(1, 90_000)  # s; holds the times of 24, 25, 30000/1001, 60 ... frames/s exactly
NOMINAL_RATE = 25.0  # frames/s that the encoder plans with where the source states none
STILL_S = 1.0  # s that a lone image is shown
KEYFRAME_INTERVAL_S = 2.0  # short enough to scrub in, and the most that a killed run loses
LEAD_IN_S = 5.0  # a first frame later than this after the start is put at 0
BT709 = 1  # H.273: primaries, transfer and matrix alike
# Fragments while writing, so that a killed run leaves a playable file; an ordinary MP4 once closed. delay_moov allows
# the edit list that hides the audio's priming.
MUXER_OPTIONS = {
    "movflags": "hybrid_fragmented+frag_keyframe+delay_moov",
    "flush_packets": "1",
    "movie_timescale": str(TIME_BASE.denominator),  # the default, 1000, would round where a track begins
}
CRF = 20  # x264's constant rate factor, 0 (lossless) .. 51
PRESET = "superfast"  # x264's, "ultrafast" .. "veryslow"
ENCODER_OPTIONS = {
    # With B-frames an MP4 stores durations in decoding order, and those of a variable rate come out wrong.
    "bf": "0",
    # The fastest presets leave these out, though they cost next to nothing and save a quarter of the bytes or more.
    "mbtree": "1",
    "rc-lookahead": "10",
}


class Mp4Writer:
    """Encodes images to ``path``: libx264, yuv420p, BT.709, variable frame rate.

    Times are kept: an image of time t stands at t - start_s (a first image before ``start_s``, or more than five
    seconds after it, stands at 0 and moves the others along). The first image sets the size; an odd side is made even
    by repeating the last column or row; later images of another size are scaled to fit, with black bars.

    Args:
        path: the MP4 file.
        start_s: source time that becomes 0; None: the first image's.
        frame_rate: mean images/s if known; it guides the encoder and gives the last image's duration. Without it the
            last image lasts as long as the one before it, a lone image one second.
        audio: its stream is written beside the video, cut to the video's extent.
        crf, preset: see ``CRF`` and ``PRESET``.

    Raises:
        FewmarkError: the file can't be created, or PyAV has no libx264.
    """

    def __init__(
        self,
        path: Path,
        *,
        start_s: float | None,
        frame_rate: float | None,
        audio: AudioTrack | None,
        crf: int = CRF,
        preset: str = PRESET,
    ) -> None:
        if "libx264" not in av.codecs_available:
            raise FewmarkError(f"{path}: this PyAV has no libx264 encoder; install PyAV's own wheel (pip install av)")
        self.path = path
        self.images_written = 0
        self._start_s = start_s
        self._rate = frame_rate if frame_rate is not None and 1 <= frame_rate <= 1000 else NOMINAL_RATE
        # A source without a rate (stills): its last image lasts as long as the one before it.
        self._last_duration = round((1 / self._rate if frame_rate is not None else STILL_S) / TIME_BASE)
        self._repeats_duration = frame_rate is None
        self._audio = audio
        self._encoder_options = {"crf": str(crf), "preset": preset, **ENCODER_OPTIONS}
        self._stream: VideoStream | None = None
        self._origin_s = 0.0
        self._held: VideoFrame | None = None  # the newest image, encoded once the next one tells its duration
        self._durations: dict[int, int] = {}  # pts -> duration of images inside the encoder
        self._reformatter = VideoReformatter()
        try:
            path.write_bytes(b"")  # PyAV opens the file with the first packet, too late to tell
            self._container: OutputContainer = av.open(str(path), "w", format="mp4", options=MUXER_OPTIONS)
        except (OSError, av.FFmpegError) as error:
            raise cannot_create(path, error.strerror) from error

    def write(self, image: ImageArray, time_s: float) -> None:
        """Append ``image`` uint8 (H, W, 3) RGB at ``time_s`` seconds.

        Raises:
            FewmarkError: the encoder refuses the image or the file can't be written.
        """
        try:
            if self._stream is None:
                self._stream = self._add_streams(image, time_s)
            frame = self._to_frame(image, self._stream)
            frame.pts = round((time_s - self._origin_s) / TIME_BASE)
            if self._held is not None:
                assert self._held.pts is not None
                frame.pts = max(frame.pts, self._held.pts + 1)  # a muxer refuses times that stand still
                duration = frame.pts - self._held.pts
                self._encode(self._held, duration)
                if self._repeats_duration:
                    self._last_duration = duration
            self._held = frame
        except (OSError, av.FFmpegError) as error:
            raise self._failure(error) from error
        self.images_written += 1

    def close(self) -> None:
        """Encode what is held back and complete the file; without any image it stays without streams."""
        try:
            if self._stream is not None and self._held is not None:
                assert self._held.pts is not None
                self._encode(self._held, self._last_duration)
                self._mux_video(self._stream.encode(None))
                if self._audio is not None:
                    self._audio.feed(self._container, float((self._held.pts + self._last_duration) * TIME_BASE))
        except (OSError, av.FFmpegError) as error:
            raise self._failure(error) from error
        finally:
            if self._audio is not None:
                self._audio.close()
            self._close_container()

    def _close_container(self) -> None:
        try:
            self._container.close()
        except (OSError, av.FFmpegError) as error:
            raise self._failure(error) from error

    def _failure(self, error: OSError | av.FFmpegError) -> FewmarkError:
        return cannot_continue(self.path, error.strerror, f"{self.images_written} frames were encoded before it")

    def _add_streams(self, image: ImageArray, time_s: float) -> VideoStream:
        on_time = self._start_s is not None and 0 <= time_s - self._start_s <= LEAD_IN_S
        self._origin_s = self._start_s if self._start_s is not None and on_time else time_s
        height, width = image.shape[:2]
        stream = self._container.add_stream(
            "libx264", rate=Fraction(self._rate).limit_denominator(1001), options=self._encoder_options
        )
        stream.width, stream.height, stream.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
        stream.time_base = TIME_BASE
        context = stream.codec_context
        context.time_base = TIME_BASE
        context.gop_size = max(1, round(KEYFRAME_INTERVAL_S * self._rate))
        context.color_range = ColorRange.MPEG
        context.colorspace = context.color_primaries = context.color_trc = BT709
        if self._audio is not None:
            self._audio.attach(self._container, self._origin_s)
        return stream

    def _to_frame(self, image: ImageArray, stream: VideoStream) -> VideoFrame:
        rgb = VideoFrame.from_numpy_buffer(_fit(image, stream.width, stream.height), format="rgb24")
        # Chroma of every other row alone: a filter over both costs half as much again and is not seen. One thread, as
        # swscale's own cost more than they save below 4K.
        frame = self._reformatter.reformat(
            rgb,
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            interpolation=Interpolation.POINT,
            threads=1,
        )
        frame.time_base = TIME_BASE
        return frame

    def _encode(self, frame: VideoFrame, duration: int) -> None:
        assert self._stream is not None
        assert frame.pts is not None
        self._durations[frame.pts] = duration
        self._mux_video(self._stream.encode(frame))
        if self._audio is not None:
            self._audio.feed(self._container, float(frame.pts * TIME_BASE))

    def _mux_video(self, packets: list[Packet[VideoStream]]) -> None:
        for packet in packets:
            if packet.pts is not None:
                packet.duration = self._durations.pop(packet.pts, 0)
            self._container.mux(packet)


def _fit(image: ImageArray, width: int, height: int) -> ImageArray:
    """The image at exactly (height, width): padded by a row and a column at most, otherwise scaled into black bars."""
    h, w = image.shape[:2]
    if (h, w) == (height, width):
        return np.ascontiguousarray(image)
    if height - h in (0, 1) and width - w in (0, 1):
        return cv2.copyMakeBorder(image, 0, height - h, 0, width - w, cv2.BORDER_REPLICATE).astype(np.uint8, copy=False)
    scale = min(width / w, height / h)
    inner_w, inner_h = max(1, min(width, round(w * scale))), max(1, min(height, round(h * scale)))
    inner = cv2.resize(image, (inner_w, inner_h), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    boxed = np.zeros((height, width, 3), np.uint8)
    left, top = (width - inner_w) // 2, (height - inner_h) // 2
    boxed[top : top + inner_h, left : left + inner_w] = inner
    return boxed
