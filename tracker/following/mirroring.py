"""Looking twice: a crop and its mirror image, averaged. Twice the time, a little less error."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.landmark_schemes import LandmarkScheme
from tracker.backends.base import LANDMARKS_ONLY, Backend, Prediction, PredictionRequest
from tracker.types import ImageArray


def predict_both_ways(
    backend: Backend, crops: ImageArray, scheme: LandmarkScheme, request: PredictionRequest = LANDMARKS_ONLY
) -> Prediction:
    """As ``Backend.predict``, with points and confidences averaged over the crops and their mirror images.

    Args:
        crops: (B, S, S, 3) uint8 RGB.
        scheme: tells which landmark is which in a mirror.
    """
    prediction = backend.predict(crops, request)
    mirrored = backend.predict(np.ascontiguousarray(crops[:, :, ::-1]))
    order = list(scheme.mirror_permutation)
    points = mirrored.points[:, order]
    points[..., 0] = crops.shape[2] - 1 - points[..., 0]
    return replace(
        prediction,
        points=((prediction.points + points) / 2).astype(np.float32),
        confidence=((prediction.confidence + mirrored.confidence[:, order]) / 2).astype(np.float32),
    )
