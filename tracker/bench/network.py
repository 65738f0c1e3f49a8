"""The network alone: crops in memory through a backend, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from models.errors import FewmarkError
from tracker.backends.base import Backend
from tracker.bench.limits import ModelCost, Peak, shortest_ms
from tracker.following.pipeline import FaceTracker
from tracker.geometry.crop import box_around_points, cut_crop, frame_from_crop_matrix
from tracker.machine.timing import StageTimer
from tracker.sources import open_source
from tracker.types import ImageArray

BATCHES = (1, 2, 4, 8)  # faces in one call
CALLS = 10  # timed, of each batch size in each round
WARM_UP_CALLS = 2  # before them: another batch size leaves other buffers in the caches
_SEARCHED_FRAMES = 300  # of the video, for faces to cut crops from


@dataclass(frozen=True, slots=True)
class NetworkTime:
    """Wall-clock time of one call with so many crops, from uint8 crops to points and confidences."""

    batch: int
    median_ms: float
    p10_ms: float
    p90_ms: float
    samples: int
    faces_per_s: float  # at the median
    limit_ms: float | None  # that this machine can't go below, see ``tracker.bench.limits``; None: not known
    share_of_limit: float | None  # 0..1, limit over median: 1 were perfect


class NetworkBench:
    """Times the predictions of one backend; single-threaded, as the backend is.

    Args:
        crops: (B, S, S, 3), as many as the largest batch.
    """

    def __init__(self, backend: Backend, crops: ImageArray, batches: Sequence[int] = BATCHES) -> None:
        if max(batches) > len(crops):
            raise ValueError(f"{len(crops)} crops are too few for a batch of {max(batches)}")
        self._backend, self._crops = backend, crops
        self._samples_ms: dict[int, list[float]] = {batch: [] for batch in batches}

    def run(self, on_call: Callable[[], None]) -> None:
        """One round over all batch sizes; ``on_call`` is called after each prediction."""
        for batch, samples in self._samples_ms.items():
            crops = np.ascontiguousarray(self._crops[:batch])
            for i in range(WARM_UP_CALLS + CALLS):
                timer = StageTimer()
                with timer.stage("predict"):
                    self._backend.predict(crops)
                if i >= WARM_UP_CALLS:
                    samples.append(timer.stage_ms["predict"])
                on_call()

    def summary(self, cost: ModelCost, peak: Peak | None) -> tuple[NetworkTime, ...]:
        """One entry a batch size, over all rounds."""
        times = []
        for batch, samples in self._samples_ms.items():
            p10, median, p90 = (round(float(v), 4) for v in np.percentile(samples, (10, 50, 90)))
            limit = None if peak is None else round(shortest_ms(cost, peak, batch), 4)
            share = None if limit is None else round(limit / median, 3)
            times.append(
                NetworkTime(batch, median, p10, p90, len(samples), round(1000 * batch / median, 1), limit, share)
            )
        return tuple(times)


def crops_from(video: Path, tracker: FaceTracker, count: int) -> ImageArray:
    """Crops of the faces in the first frames of a video, (count, S, S, 3); repeated where there are fewer faces.

    Raises:
        FewmarkError: there is no face in them.
    """
    model = tracker.model
    size = model.network.config.input_size
    crops: list[ImageArray] = []
    tracker.reset(restart_ids=True)
    with open_source(video) as source:
        for frame in islice(source, _SEARCHED_FRAMES):
            for face in tracker.process(frame, recorded=True).faces:
                box = box_around_points(face.points, model.scheme)
                matrix = frame_from_crop_matrix(box, size, model.crop_rule)
                crops.append(cut_crop(frame.image, matrix, size).image)
            if len(crops) >= count:
                break
    if not crops:
        raise FewmarkError(f"{video}: no face in its first {_SEARCHED_FRAMES} frames; take a video that shows one")
    return np.stack([crops[i % len(crops)] for i in range(count)])
