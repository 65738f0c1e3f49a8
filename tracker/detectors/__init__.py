"""Face detectors by name. Another one: a file here and a line in ``DETECTORS``."""

from __future__ import annotations

from functools import partial

from tracker.detectors.base import DetectorFactory, FaceDetector
from tracker.detectors.blazeface import MediaPipeFaceDetector

DETECTORS: dict[str, DetectorFactory] = {
    "short_range": partial(MediaPipeFaceDetector, "short_range"),
    "full_range": partial(MediaPipeFaceDetector, "full_range"),
}

__all__ = ["DETECTORS", "DetectorFactory", "FaceDetector", "MediaPipeFaceDetector"]
