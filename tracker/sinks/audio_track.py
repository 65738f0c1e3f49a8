"""The audio of a source file, carried over into an MP4 beside new video."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet

from models.errors import FewmarkError

_log = logging.getLogger(__name__)

COPIED_CODECS = frozenset({"aac", "mp3"})  # every MP4 player plays these; anything else is re-encoded to AAC
AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)  # Hz
AAC_BIT_RATE = 64_000  # bits/s for each channel
PREROLL_S = 0.05  # two AAC packets: the decoder's overlap; the MP4's edit list hides what lies before 0
SEEK_MARGIN_S = 1.0


def open_audio(path: Path) -> AudioTrack | None:
    """The audio of a file, or None where it has none.

    Raises:
        FewmarkError: ``path`` can't be opened.
    """
    try:
        source = av.open(str(path))
    except (OSError, av.FFmpegError) as error:
        raise FewmarkError(f"{path}: its audio can't be opened ({error.strerror}); leave the audio out") from error
    if source.streams.audio:
        return AudioTrack(source)
    source.close()
    return None


class AudioTrack:
    """Feeds the first audio stream of an open file into a container, in step with the video written there.

    AAC and MP3 are copied packet by packet, other codecs are decoded and encoded to AAC (mono stays mono, the rest
    becomes stereo). Damaged stretches of the source are left out with a logged warning.
    """

    def __init__(self, source: InputContainer) -> None:
        self._source = source
        self._packets: Iterator[tuple[float, Packet[AudioStream]]] = iter(())
        self._pending: tuple[float, Packet[AudioStream]] | None = None

    def attach(self, container: OutputContainer, origin_s: float) -> None:
        """Add an audio stream to ``container``; source time ``origin_s`` becomes 0. Call before the first ``mux``."""
        stream = self._source.streams.audio[0]
        if origin_s > SEEK_MARGIN_S and stream.time_base is not None:
            try:
                self._source.seek(int((origin_s - SEEK_MARGIN_S) / stream.time_base), stream=stream)
            except av.FFmpegError:
                _log.info("%s: can't seek; its audio is read from the start", self._source.name)
        if _can_be_copied(stream):
            self._packets = self._copied(stream, container.add_stream_from_template(stream), origin_s)
        else:
            rate = min((r for r in AAC_RATES if r >= stream.rate), default=AAC_RATES[-1])
            layout = "mono" if stream.channels == 1 else "stereo"
            encoder = container.add_stream("aac", rate=rate, layout=layout)
            encoder.bit_rate = AAC_BIT_RATE * (1 if layout == "mono" else 2)
            self._packets = self._encoded(stream, encoder, origin_s)

    def feed(self, container: OutputContainer, until_s: float) -> None:
        """Mux every packet that begins before ``until_s``, in seconds after the origin."""
        while True:
            if self._pending is None:
                self._pending = next(self._packets, None)
            if self._pending is None or self._pending[0] >= until_s:
                return
            container.mux(self._pending[1])
            self._pending = None

    def close(self) -> None:
        self._source.close()

    def _copied(
        self, stream: AudioStream, target: AudioStream, origin_s: float
    ) -> Iterator[tuple[float, Packet[AudioStream]]]:
        last_dts: int | None = None
        for packet in self._read(stream):
            if packet.dts is None or packet.time_base is None:
                continue
            pts = packet.pts if packet.pts is not None else packet.dts
            start_s = float(pts * packet.time_base) - origin_s
            # A muxer refuses times that run backwards; a damaged source may have them.
            if start_s < -PREROLL_S or (last_dts is not None and packet.dts <= last_dts):
                continue
            last_dts = packet.dts
            shift = round(origin_s / packet.time_base)
            packet.pts, packet.dts = pts - shift, packet.dts - shift
            packet.stream = target
            yield start_s, packet

    def _encoded(
        self, stream: AudioStream, encoder: AudioStream, origin_s: float
    ) -> Iterator[tuple[float, Packet[AudioStream]]]:
        for frame in self._decode(stream):
            if frame.pts is None or frame.time_base is None:
                continue
            start_s = float(frame.pts * frame.time_base) - origin_s
            if start_s + frame.samples / frame.sample_rate <= 0:
                continue
            frame.pts -= round(origin_s / frame.time_base)
            yield from _timed(encoder.encode(frame))
        yield from _timed(encoder.encode(None))

    def _decode(self, stream: AudioStream) -> Iterator[AudioFrame]:
        damaged = 0
        for packet in self._read(stream):
            try:
                frames = stream.codec_context.decode(packet)
            except av.FFmpegError as error:
                damaged += 1
                if damaged == 1:
                    _log.warning("%s: damaged audio is left out (%s)", self._source.name, error.strerror)
                continue
            yield from frames

    def _read(self, stream: AudioStream) -> Iterator[Packet[AudioStream]]:
        try:
            yield from self._source.demux(stream)
        except av.FFmpegError as error:
            _log.warning("%s: the audio ends early (%s)", self._source.name, error.strerror)


def _can_be_copied(stream: AudioStream) -> bool:
    codec = stream.codec_context.codec.canonical_name
    # AAC without a header of its own (ADTS, in MPEG-TS): the muxer can't convert it while it delays the moov.
    return codec in COPIED_CODECS and not (codec == "aac" and not stream.codec_context.extradata)


def _timed(packets: list[Packet[AudioStream]]) -> Iterator[tuple[float, Packet[AudioStream]]]:
    for packet in packets:
        if packet.pts is not None and packet.time_base is not None:
            yield float(packet.pts * packet.time_base), packet
