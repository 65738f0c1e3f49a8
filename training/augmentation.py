"""The ranges of random changes to training crops; ``batch_augmentation.py`` carries them out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AugmentationConfig:
    """Ranges of the random changes; the identity is all zeros.

    3FabRec, section 4.2.2: "random horizontal flipping (p = 0.5), translation (+-4 %), resizing (+-5 %), rotation
    (+-30 degrees), and occlusion".
    """

    flip: float = 0.0  # probability
    translation: float = 0.0  # +- share of the face box's side, each axis of the crop
    scale: float = 0.0  # +- share, around the box's centre
    rotation_deg: float = 0.0  # +- degrees, around the box's centre
    warp: float = 0.0  # +- share of the crop's side, by which control points of a smooth warp move; not in the papers
    occlusion: float = 0.0  # probability of one covered rectangle
    occlusion_size: float = 0.4  # its longest side, share of the crop
    brightness: float = 0.0  # +- share of white
    contrast: float = 0.0  # +- share
    saturation: float = 0.0  # +- share
    colour_cast: float = 0.0  # +- share of each channel's gain
    grey: float = 0.0  # probability of a grey image
    blur: float = 0.0  # probability of a Gaussian blur or of a loss of resolution
    noise: float = 0.0  # standard deviation of pixel noise, largest, share of white
