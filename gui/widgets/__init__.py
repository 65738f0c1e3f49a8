"""The window's own controls. Their colours come from the style sheet, by property."""

from __future__ import annotations

from gui.widgets.buttons import Button, Chip, IconButton
from gui.widgets.colour_scale import ColourScale
from gui.widgets.labels import ElidedLabel, label, restyle
from gui.widgets.panels import FaceRow, SectionHeader, SidePanel
from gui.widgets.values import Choice, LabelledSlider, OpacityChip, Slider

__all__ = [
    "Button",
    "Chip",
    "Choice",
    "ColourScale",
    "ElidedLabel",
    "FaceRow",
    "IconButton",
    "LabelledSlider",
    "OpacityChip",
    "SectionHeader",
    "SidePanel",
    "Slider",
    "label",
    "restyle",
]
