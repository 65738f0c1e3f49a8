"""TrackerConfig: one frozen tree with sensible defaults. TOML in and out: ``tracker/files/dataclass_toml.py``."""

from __future__ import annotations

from dataclasses import dataclass, field

from models.registry import DEFAULT_MODEL
from tracker.types import ImageArray


@dataclass(frozen=True, slots=True)
class DetectionConfig:
    """When and how faces are looked for; between detections they are tracked by their landmarks."""

    detector: str = "auto"  # a name of DETECTORS
    min_score: float | None = None  # 0..1; None: the detector's own choice
    smallest_face: float = 0.03  # what its landmarks span, of the frame's longer side; close looks find it
    small_faces: bool = False  # half as large ones too, and every look is a close one: slow
    period_s: float = 0.5  # where something has changed, new faces are looked for this often
    sweep_period_s: float = 10.0  # and everywhere, changed or not, this often
    lone_period_s: float = 1.0  # likewise where no face is followed, and then for faces that lie or hang as well

    def smallest_px(self, image: ImageArray) -> float:
        """What the landmarks of the smallest face span that close looks are to find in an image, (H, W, 3); pixels."""
        return self.smallest_face * float(max(image.shape[:2])) * (0.5 if self.small_faces else 1.0)


@dataclass(frozen=True, slots=True)
class AssociationSettings:
    """Limits within which a box is taken for a known face."""

    max_lost_s: float = 1.0  # a face unseen for longer than this is found again by its appearance alone
    max_alike_s: float = 2.5  # after this it is forgotten; its id is never used again
    max_distance: float = 0.6  # face sizes between a live face's predicted and found centre
    max_lost_distance: float = 1.2  # the same for a lost face: it has moved on unseen
    max_alike_distance: float = 3.0  # the same where the one that is found looks like it
    max_size_ratio: float = 1.8  # between the sizes of one face in two frames
    velocity_memory_s: float = 0.15  # time constant over which the velocity is averaged
    velocity_reach_s: float = 0.4  # a lost face is thought to come to rest with this time constant


@dataclass(frozen=True, slots=True)
class TrackingConfig:
    """What counts as a face, and how long."""

    max_faces: int | None = None  # the largest are kept; None: all of a still, 20 in a video
    min_confidence: float = 0.55  # mean over the landmarks, below which a crop shows no face
    # A NEW face must exceed min_confidence by this times (1 - the detector's score), as a share of it.
    doubt_margin: float = 0.8
    refinements: int = 1  # further passes over a newly found face, each on the crop that the last one suggests
    association: AssociationSettings = field(default_factory=AssociationSettings)


@dataclass(frozen=True, slots=True)
class OneEuroSettings:
    """To tune: lower ``min_cutoff_hz`` until a still face is still; only then raise ``beta`` until motion keeps up.

    The defaults at 30 frames/s: white jitter of 0.2 to 0.5 % of the face falls to 0.45 of itself, its steps from frame
    to frame to a quarter; lag 24 ms at 0.25 face sizes/s and 7 ms at 1; a 250 ms blink keeps 86 % of its depth.
    """

    min_cutoff_hz: float = 1.5  # > 0; cutoff for a point at rest
    beta: float = 20.0  # >= 0; Hz added per face size/s of speed
    derivative_cutoff_hz: float = 1.0  # > 0; smoothing of the speed itself
    max_gap_s: float = 0.5  # after a longer gap the filter starts anew


@dataclass(frozen=True, slots=True)
class TrackerConfig:
    """Everything that determines the results, apart from the frames."""

    model: str = DEFAULT_MODEL  # a name of MODELS or the path of a model file
    backend: str = "auto"
    smooth: bool = False  # off for measuring
    detection: DetectionConfig = field(default_factory=DetectionConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    smoothing: OneEuroSettings = field(default_factory=OneEuroSettings)
