"""Every stage alone, on one thread, and the backend on its own.

A frame goes through all stages one after the other, so that each is timed with the caches as the one before left them
and none of our other threads runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import torch
from av.video.stream import VideoStream

from models.errors import FewmarkError
from models.surgery.folding import fold_batch_norm
from tracker.batch import OutputChoice
from tracker.detectors import FaceDetector
from tracker.following.pipeline import FaceTracker
from tracker.geometry.crop import box_around_points, cut_crop, frame_from_crop_matrix
from tracker.machine.timing import StageTimer
from tracker.overlays import OverlayContext, render
from tracker.sinks.mp4_writer import Mp4Writer
from tracker.sources.decoding import DecodeTally
from tracker.sources.frame_maker import FrameMaker
from tracker.sources.media_facts import FALLBACK_RATE
from tracker.sources.video_file import open_video
from tracker.sources.video_input import VideoInput
from tracker.types import Frame, ImageArray, SourceInfo

# What each does, once a sample. All but "predict" run on one thread.
STAGES: dict[str, str] = {
    "decode": "video to RGB",
    "detect": "whole frame",
    "crop": "one face",
    "network": "one face, PyTorch, float32",
    "decode heatmaps": "one face, PyTorch",
    "predict": "network to points, backend",
    "overlay": "default overlays",
    "encode": "RGB to H.264",
}


@dataclass(frozen=True, slots=True)
class StageTime:
    """Wall-clock time of a stage over all its samples."""

    median_ms: float
    p10_ms: float
    p90_ms: float
    samples: int


class StageSamples:
    """Milliseconds by stage, collected over any number of passes."""

    def __init__(self) -> None:
        self._samples_ms: dict[str, list[float]] = {name: [] for name in STAGES}

    def add(self, stage_ms: dict[str, float]) -> None:
        """The stages of one frame; those that it did not go through are missing."""
        for name, ms in stage_ms.items():
            self._samples_ms[name].append(ms)

    @property
    def has_faces(self) -> bool:
        """Whether one of the frames showed a face."""
        return bool(self._samples_ms["crop"])

    def summary(self) -> dict[str, StageTime]:
        """Every stage of ``STAGES``, in order."""
        summary = {}
        for name, samples in self._samples_ms.items():
            p10, median, p90 = (round(float(v), 4) for v in np.percentile(samples, (10, 50, 90)))
            summary[name] = StageTime(median, p10, p90, len(samples))
        return summary


class StageBench:
    """Sends frames of one video through the stages; single-threaded, as all its parts are.

    Args:
        detector: not the tracker's own, which only the tracker uses.
        info: of the video.
    """

    def __init__(self, tracker: FaceTracker, detector: FaceDetector, video: Path, info: SourceInfo) -> None:
        self._tracker, self._detector = tracker, detector
        self._video, self._rate = video, info.frame_rate or FALLBACK_RATE
        self._context = OverlayContext(tracker.model.scheme)
        self._network = fold_batch_norm(tracker.model.network)
        self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(self, samples: StageSamples, frames: int, *, warm_up: int, on_frame: Callable[[], None]) -> None:
        """One pass over ``warm_up + frames`` frames of the video, which is played again where it is shorter.

        Args:
            samples: receives the times.
            warm_up: so many frames first, whose times are not kept.
            on_frame: called after each of them, and after each of as many predictions.

        Raises:
            FewmarkError: no face in any of the frames, so that there is nothing to crop.
        """
        index = 0
        crop: ImageArray | None = None
        self._tracker.reset(restart_ids=True)
        with TemporaryDirectory(prefix="fewmark-bench-") as folder, _one_thread(), torch.inference_mode():
            writer = _OneThreadWriter(Path(folder) / "encoded.mp4", start_s=None, frame_rate=self._rate, audio=None)
            with closing(writer):
                for image, timer in self._decode(warm_up + frames):
                    found = self._run_frame(Frame(image, index, index / self._rate), timer, writer)
                    crop = crop if found is None else found
                    if index >= warm_up:
                        samples.add(timer.stage_ms)
                    index += 1
                    on_frame()
        if crop is None or not samples.has_faces:
            raise FewmarkError(
                f"{self._video}: no face in {frames} frames, so that most stages have nothing to do; "
                "take a video that shows one from its beginning"
            )
        for i in range(warm_up + frames):
            timer = StageTimer()
            with timer.stage("predict"):
                self._tracker.backend.predict(crop[None])
            if i >= warm_up:
                samples.add(timer.stage_ms)
            on_frame()

    def _decode(self, count: int) -> Iterator[tuple[ImageArray, StageTimer]]:
        """``count`` images, each with the timer that holds its decoding."""
        done = 0
        while done < count:
            with open_video(self._video) as video:
                images = _rgb_images(video)
                while done < count:
                    timer = StageTimer()
                    with timer.stage("decode"):
                        image = next(images, None)
                    if image is None:
                        break
                    yield image, timer
                    done += 1

    def _run_frame(self, frame: Frame, timer: StageTimer, writer: Mp4Writer) -> ImageArray | None:
        """Times the stages after decoding; returns the crop of the first face, (S, S, 3)."""
        model = self._tracker.model
        size = model.network.config.input_size
        result = self._tracker.process(frame)  # not timed: it says where the faces are
        with timer.stage("detect"):
            self._detector.detect(frame.image)
        crop: ImageArray | None = None
        if result.faces:
            box = box_around_points(result.faces[0].points, model.scheme)
            with timer.stage("crop"):
                crop = cut_crop(frame.image, frame_from_crop_matrix(box, size, model.crop_rule), size).image
            with timer.stage("network"):
                pixels = torch.from_numpy(crop[None])
                heatmaps = self._network(pixels.permute(0, 3, 1, 2).float().div_(255))
            with timer.stage("decode heatmaps"):
                self._network.read(heatmaps, model.shape_prior)
        with timer.stage("overlay"):
            image = render(result, OutputChoice().overlays, self._context)
        with timer.stage("encode"):
            writer.write(image, frame.time_s)
        return crop


class _OneThreadWriter(Mp4Writer):
    """With threads of its own, x264 would work on while the next stage is timed."""

    def _add_streams(self, image: ImageArray, time_s: float) -> VideoStream:
        stream = super()._add_streams(image, time_s)
        stream.codec_context.thread_count = 1
        return stream


def _rgb_images(video: VideoInput) -> Iterator[ImageArray]:
    video.stream.codec_context.thread_count = 1
    maker: FrameMaker | None = None
    for decoded in video.decode(DecodeTally()):
        maker = maker or video.frame_maker(decoded)
        yield maker.image(decoded)


@contextmanager
def _one_thread() -> Iterator[None]:
    """PyTorch and OpenCV on one thread within the block; BlazeFace runs on one anyway."""
    torch_threads, opencv_threads = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        torch.set_num_threads(torch_threads)
        cv2.setNumThreads(opencv_threads)
