"""How an image of any size lies in a widget: letterboxed, zoomed and panned. Plain arithmetic, without Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

MOST_ZOOM = 40.0

Position = tuple[float, float]  # x, y


class VisiblePart(NamedTuple):
    """The whole image pixels of which something is seen; right and bottom are outside."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(slots=True)
class CanvasView:
    """Maps between widget pixels and image pixels.

    Positions in the image are those of its area: (0, 0) is its upper left corner, as a widget's is. The centre of its
    first pixel, which is (0, 0) for landmarks, lies at (0.5, 0.5).
    """

    image_size: tuple[int, int] = (1, 1)  # width, height, px
    widget_size: tuple[float, float] = (1, 1)  # width, height, device-independent px
    zoom: float = 1.0  # 1 shows the whole image
    centre: Position = (0.5, 0.5)  # of what is seen, as shares of the image: stays where the sizes change

    @property
    def scale(self) -> float:
        """Widget pixels an image pixel."""
        width, height = self.image_size
        return self.zoom * min(self.widget_size[0] / width, self.widget_size[1] / height)

    @property
    def origin(self) -> Position:
        """Where the image's upper left corner lies in the widget."""
        x, y = (
            widget / 2 - centre * image * self.scale
            for widget, centre, image in zip(self.widget_size, self.centre, self.image_size, strict=True)
        )
        return x, y

    def position_at(self, x: float, y: float) -> Position:
        """Position in the image that lies under a widget position; may be outside."""
        left, top = self.origin
        return (x - left) / self.scale, (y - top) / self.scale

    def pixel_at(self, x: float, y: float) -> Position | None:
        """The same as landmarks count, (0, 0) the centre of the first pixel; None beside the image."""
        inner_x, inner_y = self.position_at(x, y)
        inside = 0 <= inner_x < self.image_size[0] and 0 <= inner_y < self.image_size[1]
        return (inner_x - 0.5, inner_y - 0.5) if inside else None

    def zoom_by(self, factor: float, x: float, y: float) -> None:
        """Zooms in (above 1) or out; what lies under a widget position stays there as far as there is image."""
        before = self.position_at(x, y)
        self.zoom = min(max(self.zoom * factor, 1.0), MOST_ZOOM)
        after = self.position_at(x, y)
        self.pan((after[0] - before[0]) * self.scale, (after[1] - before[1]) * self.scale)

    def pan(self, dx: float, dy: float) -> None:
        """Moves the image by widget pixels, never further than needed to see its edge."""
        self.centre = (
            self.centre[0] - dx / (self.image_size[0] * self.scale),
            self.centre[1] - dy / (self.image_size[1] * self.scale),
        )
        self.keep_inside()

    def keep_inside(self) -> None:
        """No more ground is seen than has to be."""
        x, y = (
            _between(centre, widget / (2 * image * self.scale))
            for centre, widget, image in zip(self.centre, self.widget_size, self.image_size, strict=True)
        )
        self.centre = x, y

    def reset(self) -> None:
        """Shows the whole image."""
        self.zoom, self.centre = 1.0, (0.5, 0.5)

    def show_part(self, left: float, top: float, right: float, bottom: float) -> None:
        """Zooms so that a rectangle of the image, in its pixels, fills the widget as far as there is image."""
        width, height = self.image_size
        fit = min(self.widget_size[0] / max(right - left, 1), self.widget_size[1] / max(bottom - top, 1))
        self.zoom = min(max(fit / (self.scale / self.zoom), 1.0), MOST_ZOOM)
        self.centre = (left + right) / (2 * width), (top + bottom) / (2 * height)
        self.keep_inside()

    def visible_part(self) -> VisiblePart:
        """Which pixels have to be painted."""
        left, top = self.position_at(0, 0)
        right, bottom = self.position_at(*self.widget_size)
        width, height = self.image_size
        return VisiblePart(
            max(int(left), 0), max(int(top), 0), min(int(right) + 1, width), min(int(bottom) + 1, height)
        )


def _between(centre: float, half: float) -> float:
    """``centre`` moved so that ``half`` of the view to either side lies in 0..1; the middle where it can't."""
    return 0.5 if half >= 0.5 else min(max(centre, half), 1 - half)
