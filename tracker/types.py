"""What passes between the stages of the tracker: frozen dataclasses, shape and unit beside each field.

Legend: H, W frame height and width; S crop side; K landmarks; h, w heatmap height and width.
Points are (x, y), x to the right, y down; the CENTRE of the top-left pixel is (0, 0), in frames, crops and heatmaps
alike (see ``models/decoding/heatmaps.py`` for the half-pixel rule that follows from it).
Images are RGB; BGR exists only inside sources and sinks. Matrices are named ``to_from``: ``frame_from_crop`` maps crop
points to frame points.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

ImageArray = NDArray[np.uint8]
FloatArray = NDArray[np.float32]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One image of a source."""

    image: ImageArray  # (H, W, 3) RGB, square pixels
    index: int  # 0-based position in the source; gaps where a live source dropped frames
    time_s: float  # presentation time of a file (its first frame may not be 0) or stream, monotonic clock of a camera
    name: str = ""  # file name where every frame is a file of its own (image folders), else ""
    pixel_aspect: float = 1.0  # width over height of the file's own pixels, upright; see ``geometry/pixel_aspect.py``


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known of a source before its frames are read."""

    name: str  # path, URL or camera name, as the user would recognise it
    width: int  # px of its frames: after rotation, and square
    height: int  # px
    frame_rate: float | None  # mean frames/s; None: unknown (stills) or not constant enough to state
    frame_count: int | None  # None: unknown or endless; for files an estimate that progress bars may use
    is_live: bool  # frames come at their own pace and may be dropped
    are_stills: bool = False  # each frame stands for itself: nothing is followed from one to the next
    has_audio: bool = False
    pixel_aspect: float = 1.0  # see ``Frame``


@dataclass(frozen=True, slots=True, eq=False)
class FaceBox:
    """An axis-aligned box around a face, in frame pixels."""

    xyxy: FloatArray  # (4,) left, top, right, bottom; may reach outside the frame
    score: float  # 0..1
    roll: float = 0.0  # radians, in-plane rotation of the face; positive turns the head's top to the right of the image

    @property
    def width(self) -> float:
        return float(self.xyxy[2] - self.xyxy[0])

    @property
    def height(self) -> float:
        return float(self.xyxy[3] - self.xyxy[1])

    @property
    def centre(self) -> tuple[float, float]:
        return float(self.xyxy[0] + self.xyxy[2]) / 2, float(self.xyxy[1] + self.xyxy[3]) / 2


@dataclass(frozen=True, slots=True, eq=False)
class FaceCrop:
    """A square, upright cut-out of one face."""

    image: ImageArray  # (S, S, 3) RGB
    frame_from_crop: Matrix  # (2, 3)


@dataclass(frozen=True, slots=True, eq=False)
class TrackedFace:
    """One face in one frame."""

    face_id: int  # stable while the face is tracked; from 0, never reused within a run
    points: FloatArray  # (K, 2) frame pixels
    confidence: FloatArray  # (K,) 0..1; FaceModel.confidence_meaning says of what
    box: FaceBox  # the points' bounding box; score is the mean confidence
    frame_from_crop: Matrix  # (2, 3) of the crop that the network saw
    crop_size: int  # S, px
    heatmap: FloatArray | None = None  # (h, w) 0..1 over the crop, of all landmarks or of one; only on request
    reconstruction: ImageArray | None = None  # (S, S, 3) RGB, over the crop; only on request
    recon_error: float | None = None  # mean absolute difference of reconstruction and crop, 0..255; only on request


@dataclass(frozen=True, slots=True, eq=False)
class TrackingResult:
    """What the pipeline says of one frame."""

    frame: Frame
    faces: tuple[TrackedFace, ...]  # ordered by face_id
    stage_ms: dict[str, float] = field(default_factory=dict)  # stage name -> milliseconds
    model: str = ""
    backend: str = ""
    left_out: int = 0  # faces that were found as well, beyond TrackingConfig.max_faces
