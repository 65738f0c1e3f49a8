"""How a face box becomes the crop that a model was trained on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CropRule:
    """Belongs to a model: training and tracking must use the same one; ``tracker/geometry/crop.py`` carries it out."""

    margin: float = 1.3  # crop side in units of the longer side of the landmarks' box
    lift: float = 0.0  # how far the crop's centre lies above the box's, in units of the box's longer side
    level: bool = True  # turn the crop by the face's roll, so that the eyes are level
