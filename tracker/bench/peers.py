"""Other trackers on the same video, in the same run, where they are installed."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from models.errors import FewmarkError
from tracker.detectors.native_stderr import without_stderr_lines
from tracker.files.model_store import MODEL_DIR_VARIABLE, cache_directory, named_directory
from tracker.sources import open_source
from tracker.types import ImageArray

FACE_LANDMARKER = "face_landmarker.task"
_CHATTER = re.compile(r"^(?:[WIE]\d{4} |INFO: |WARNING: All log messages)")


class Peer(Protocol):
    """Somebody else's tracker. Single-threaded."""

    def open(self, max_faces: int) -> None:
        """Makes it ready for a video from its beginning."""
        ...

    def track(self, image: ImageArray, time_s: float) -> int:
        """The number of faces in the next frame, (H, W, 3) RGB."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class PeerTime:
    """Another tracker from video to points in memory; nothing is written."""

    peer: str
    median_ms: float  # of a frame in the tracker
    p10_ms: float
    p90_ms: float
    samples: int
    frames_per_s: float  # with decoding, which runs ahead as it does for us; median of the runs
    runs_frames_per_s: tuple[float, ...]
    faces_per_frame: float


class MediaPipeFaceLandmarker:
    """MediaPipe's FaceLandmarker in its video mode, 478 points, on the CPU.

    Raises:
        FewmarkError: its model file is not there or damaged, or MediaPipe can't be loaded.
    """

    def __init__(self, model_dir: Path | None = None) -> None:
        folders = [folder for folder in (named_directory(model_dir), cache_directory()) if folder is not None]
        path = next((folder / FACE_LANDMARKER for folder in folders if (folder / FACE_LANDMARKER).is_file()), None)
        if path is None:
            raise FewmarkError(
                f"peer mediapipe: no {FACE_LANDMARKER} in {' or '.join(map(_from_home, folders))}; download it from "
                f"MediaPipe's page about the Face Landmarker, and name its folder in --model-dir or "
                f"{MODEL_DIR_VARIABLE}"
            )
        try:
            import mediapipe
            from mediapipe.tasks.python import BaseOptions, vision
        except (ImportError, OSError) as error:
            raise FewmarkError(f"peer mediapipe: can't be loaded ({error}); reinstall mediapipe") from error
        self._mediapipe, self._vision, self._options = mediapipe, vision, BaseOptions
        self._model = path.read_bytes()
        self._landmarker: Any = None
        try:
            self.open(1)
        except (RuntimeError, ValueError, OSError) as error:
            raise FewmarkError(f"peer mediapipe: {path.name} can't be used ({error}); download it again") from error
        self.close()

    def open(self, max_faces: int) -> None:
        options = self._vision.FaceLandmarkerOptions(
            base_options=self._options(model_asset_buffer=self._model),
            running_mode=self._vision.RunningMode.VIDEO,
            num_faces=max_faces,
        )
        self.close()
        with without_stderr_lines(_CHATTER):
            self._landmarker = self._vision.FaceLandmarker.create_from_options(options)
            self.track(np.zeros((8, 8, 3), np.uint8), -1.0)  # some of the chatter comes with the first image

    def track(self, image: ImageArray, time_s: float) -> int:
        picture = self._mediapipe.Image(self._mediapipe.ImageFormat.SRGB, image)
        result = self._landmarker.detect_for_video(picture, round(1000 * (time_s + 1)))
        return len(result.face_landmarks)

    def close(self) -> None:
        if self._landmarker is not None:
            self._landmarker.close()
            self._landmarker = None


def _from_home(folder: Path) -> str:
    """With ~ for the user's own folder, whose name is nobody else's business in a report."""
    return f"~/{folder.relative_to(Path.home()).as_posix()}" if folder.is_relative_to(Path.home()) else str(folder)


PEERS: dict[str, Callable[[Path | None], Peer]] = {"mediapipe": MediaPipeFaceLandmarker}


class PeerBench:
    """Times one peer over the first frames of a video."""

    def __init__(self, name: str, peer: Peer, video: Path, max_faces: int) -> None:
        self._name, self._peer, self._video, self._max_faces = name, peer, video, max_faces
        self._samples_ms: list[float] = []
        self._rates: list[float] = []
        self._faces = 0

    def run(self, frames: int, warm_up: int, on_frame: Callable[[], None]) -> None:
        """One round; of its first ``warm_up`` frames no time is kept. A shorter video ends it early."""
        self._peer.open(self._max_faces)
        with closing(self._peer), open_source(self._video) as source:
            done, start = 0, time.perf_counter()
            for i, frame in enumerate(islice(source, warm_up + frames)):
                if i == warm_up:
                    start = time.perf_counter()
                begin = time.perf_counter()
                found = self._peer.track(frame.image, frame.time_s)
                if i >= warm_up:
                    self._samples_ms.append(1000 * (time.perf_counter() - begin))
                    self._faces += found
                    done += 1
                on_frame()
            seconds = time.perf_counter() - start
        if not done:
            raise FewmarkError(f"{self._video}: has no more than the {warm_up} frames to warm up; take a longer video")
        self._rates.append(round(done / seconds, 2))

    def summary(self) -> PeerTime:
        """Over all rounds."""
        p10, median, p90 = (round(float(v), 4) for v in np.percentile(self._samples_ms, (10, 50, 90)))
        rate, count = round(float(np.median(self._rates)), 2), len(self._samples_ms)
        return PeerTime(self._name, median, p10, p90, count, rate, tuple(self._rates), round(self._faces / count, 3))
