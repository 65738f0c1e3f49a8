"""Face detectors by name. Another one: a file here and a line in ``DETECTORS``."""

from __future__ import annotations

from functools import partial

from tracker.detectors.automatic import AutomaticDetector
from tracker.detectors.base import DetectorFactory, FaceDetector
from tracker.detectors.blazeface import MediaPipeFaceDetector
from tracker.detectors.centerface import CenterFaceDetector

DETECTORS: dict[str, DetectorFactory] = {
    "auto": AutomaticDetector,
    "short_range": partial(MediaPipeFaceDetector, "short_range"),
    "full_range": partial(MediaPipeFaceDetector, "full_range"),
    "centerface": CenterFaceDetector,
}

__all__ = [
    "DETECTORS",
    "AutomaticDetector",
    "CenterFaceDetector",
    "DetectorFactory",
    "FaceDetector",
    "MediaPipeFaceDetector",
]
