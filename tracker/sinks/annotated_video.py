"""Results as a video to look at: each frame with the overlays drawn on, the source's times and audio kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from models.errors import FewmarkError
from tracker.sinks.audio_track import open_audio
from tracker.sinks.base import ResultSink
from tracker.sinks.mp4_writer import CRF, PRESET, Mp4Writer
from tracker.sinks.sink_thread import SinkThread
from tracker.types import ImageArray, SourceInfo, TrackingResult


class AnnotatedVideoSink(ResultSink):
    """Draws and encodes results to an H.264 MP4, in a thread of its own.

    ``write`` hands the result over and returns; where the encoder falls behind a file, ``write`` waits (no frame is
    ever dropped), where it falls behind a live source, the result is dropped and counted in ``frames_dropped``.
    ``draw`` runs in the encoder's thread. What goes wrong there is raised by the next ``write`` or by ``close``.

    While it is written the video is called ``<name>.part.mp4``; ``close`` completes it, also after Ctrl-C, and gives
    it its name. After an error, or if the process is killed, the ``.part.mp4`` stays and plays up to its last whole
    fragment (two seconds or less are missing). A run without any frame leaves no video.

    Args:
        path: the video; its name ends in ``.mp4``; an existing one is replaced when the new one is complete.
        info: the source; its frame rate guides the encoder, ``is_live`` decides between waiting and dropping.
        draw: result -> uint8 (H, W, 3) RGB, for example ``functools.partial`` of ``overlays.render``.
        audio_from: a file whose audio is put under the video; its times are those of the frames.
        start_s: where the tracked range begins in the source; this source time becomes 0 in the video.
        crf: quality of x264, as in ``mp4_writer``.
        preset: its speed, likewise.

    Raises:
        FewmarkError: the file can't be created, ``audio_from`` can't be read, PyAV lacks libx264.
    """

    def __init__(
        self,
        path: Path,
        info: SourceInfo,
        draw: Callable[[TrackingResult], ImageArray],
        *,
        audio_from: Path | None = None,
        start_s: float = 0.0,
        crf: int = CRF,
        preset: str = PRESET,
    ) -> None:
        if path.suffix.lower() != ".mp4":
            raise FewmarkError(f"{path}: the annotated video is an MP4; give it a name that ends in .mp4")
        self.frames_dropped = 0
        self._path = path
        self._draw = draw
        self._writer = Mp4Writer(
            path.with_name(f"{path.stem}.part.mp4"),
            start_s=None if info.is_live else start_s,
            frame_rate=info.frame_rate,
            audio=open_audio(audio_from) if audio_from is not None else None,
            crf=crf,
            preset=preset,
        )
        self._closed = False
        # Where close() is forgotten the .part.mp4 plays without its end.
        self._thread = SinkThread(
            self._encode, self._writer.close, name=f"encode {path.name}", drop_when_full=info.is_live
        )

    def write(self, result: TrackingResult) -> None:
        if not self._thread.put(result):
            self.frames_dropped += 1

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._thread.end()
        if self._writer.images_written == 0:
            self._writer.path.unlink(missing_ok=True)
        elif not self._thread.has_failed:
            self._move_into_place()
        self._thread.raise_failure()

    def _encode(self, result: TrackingResult) -> None:
        self._writer.write(self._draw(result), result.frame.time_s)

    def _move_into_place(self) -> None:
        try:
            self._writer.path.replace(self._path)
        except OSError as error:
            raise FewmarkError(
                f"{self._path}: could not be replaced ({error.strerror}); close the program that has it open; "
                f"the finished video is {self._writer.path}"
            ) from error
