"""TrackerConfig: one frozen tree with sensible defaults; TOML in and out through ``tracker/dataclass_toml.py``."""

from __future__ import annotations

from dataclasses import dataclass, field

from models.registry import DEFAULT_MODEL
from tracker.association import AssociationSettings
from tracker.smoothing import OneEuroSettings


@dataclass(frozen=True, slots=True)
class DetectionConfig:
    """When and how faces are looked for; between detections they are tracked by their landmarks."""

    detector: str = "short_range"  # a name of DETECTORS
    min_score: float = 0.5  # 0..1
    tiles: bool = False  # look for faces that are small in the frame as well: slow
    period_s: float = 0.5  # a detection at least this often, for new faces
    thorough_period_s: float = 1.0  # recordings: small faces are looked for at most this often; inf: never


@dataclass(frozen=True, slots=True)
class TrackingConfig:
    """What counts as a face, and how long."""

    max_faces: int = 4  # the largest are kept
    min_confidence: float = 0.55  # mean over the landmarks, below which a crop shows no face
    # A NEW face must exceed min_confidence by this times (1 - the detector's score), as a share of it.
    doubt_margin: float = 0.8
    refinements: int = 1  # further passes over a newly found face, each on the crop that the last one suggests
    association: AssociationSettings = field(default_factory=AssociationSettings)


@dataclass(frozen=True, slots=True)
class TrackerConfig:
    """Everything that determines the results, apart from the frames."""

    model: str = DEFAULT_MODEL  # a name of MODELS or the path of a model file
    backend: str = "auto"
    smooth: bool = False  # off for measuring
    detection: DetectionConfig = field(default_factory=DetectionConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    smoothing: OneEuroSettings = field(default_factory=OneEuroSettings)
