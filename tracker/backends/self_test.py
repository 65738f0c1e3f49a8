"""Does a backend compute what the network means? Against eager in float32, on faces of the demo clip."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import torch

from models.crop_rule import CropRule
from models.errors import FewmarkError
from models.files.model_file import FaceModel
from tracker.backends.base import Backend, Prediction
from tracker.backends.eager import EagerBackend
from tracker.backends.engine_cache import code_hash, drop_oldest, load_engine, store_engine, weights_hash
from tracker.files.assets import demo_clip
from tracker.geometry.crop import cut_crop, frame_from_crop_matrix
from tracker.sources import open_source
from tracker.types import FaceBox, FloatArray, ImageArray

# In half precision another pixel may be the highest of a blurred heatmap: then a single point moves more than the rest.
MAX_DEVIATION = 1.0  # of any landmark, in pixels of the crop
MAX_MEAN_DEVIATION = 0.25  # of all landmarks, in pixels of the crop
MAX_CONFIDENCE_DEVIATION = 0.2  # of any landmark

_REMEMBERED = 12  # answers in the cache, of some kB each
_log = logging.getLogger(__name__)

# Frame of the clip -> box around its face, not quite centred and turned: centre and side in px, roll in radians.
_BOXES = {0: (597.0, 364.0, 280.0, -0.12), 8: (580.0, 380.0, 240.0, 0.22)}


@dataclass(frozen=True, slots=True)
class Deviation:
    """Of a backend from eager in float32, on the crops of the self-test. NaN if the backend gives NaN."""

    largest: float  # of any landmark, px of the crop
    mean: float  # of all landmarks, px of the crop
    confidence: float  # the largest of any landmark, 0..1

    @property
    def is_small(self) -> bool:
        """Whether the backend may be used."""
        return (
            self.largest <= MAX_DEVIATION
            and self.mean <= MAX_MEAN_DEVIATION
            and self.confidence <= MAX_CONFIDENCE_DEVIATION
        )

    def __str__(self) -> str:
        return (
            f"{self.largest:.2f} px of the crop at most (allowed: {MAX_DEVIATION}), {self.mean:.2f} px on average "
            f"({MAX_MEAN_DEVIATION}), confidence by {self.confidence:.2f} ({MAX_CONFIDENCE_DEVIATION})"
        )


class SelfTest:
    """Of the backends of one model."""

    def __init__(self, model: FaceModel) -> None:
        self._model = model

    def deviation(self, backend: Backend) -> Deviation:
        """Runs the backend on one crop alone and on twice all of them: a batch size may have code of its own."""
        crops = self._crops
        found = _answer(backend.predict(crops[:1]), backend.predict(np.concatenate([crops, crops])))
        difference = found - self._expected[[0, *range(len(crops)), *range(len(crops))]]
        distance = np.linalg.norm(difference[..., :2], axis=-1)
        return Deviation(
            largest=float(distance.max()),
            mean=float(distance.mean()),
            confidence=float(np.abs(difference[..., 2]).max()),
        )

    @cached_property
    def _crops(self) -> ImageArray:
        return self_test_crops(self._model.network.config.input_size, self._model.crop_rule)

    @cached_property
    def _expected(self) -> FloatArray:
        """Eager's answer: it takes as long as all else that a start computes, and is the same another time."""
        crops = self._crops
        key = {
            "backend": "self_test",
            "weights": weights_hash(self._model),
            "crops": hashlib.sha256(crops.tobytes()).hexdigest(),
            "code": code_hash(EagerBackend, _answer),
            "torch": torch.__version__,
            "capability": torch.backends.cpu.get_cpu_capability(),
        }
        if (stored := load_engine(key)) is not None:
            return np.frombuffer(stored, np.float32).reshape(len(crops), -1, 3)
        # On the CPU: on a GPU, float32 convolutions may be rounded to TF32.
        answer = _answer(EagerBackend(self._model, "cpu").predict(crops))
        try:
            store_engine(key, answer.tobytes())
            drop_oldest(key["backend"], _REMEMBERED)
        except FewmarkError as error:  # a cache that can be read alone
            _log.info("%s", error)
        return answer


def _answer(*parts: Prediction) -> FloatArray:
    """(B, K, 3): x, y and confidence."""
    return np.concatenate(
        [np.concatenate([part.points, part.confidence[..., None]], axis=-1) for part in parts], dtype=np.float32
    )


@cache
def self_test_crops(size: int, rule: CropRule) -> ImageArray:
    """(4, S, S, 3) uint8: the faces of two frames and their mirror images."""
    crops = []
    with open_source(demo_clip()) as source:
        for frame in source:
            if frame.index in _BOXES:
                x, y, side, roll = _BOXES[frame.index]
                half = side / 2
                box = FaceBox(np.array([x - half, y - half, x + half, y + half], np.float32), 1.0, roll)
                crop = cut_crop(frame.image, frame_from_crop_matrix(box, size, rule), size).image
                crops += [crop, crop[:, ::-1]]
            if frame.index >= max(_BOXES):
                break
    return np.stack(crops)
