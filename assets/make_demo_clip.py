"""Draws ``demo.mp4``, the clip that ``fewmark demo`` tracks, out of two public-domain portraits.

    python assets/make_demo_clip.py [OUTPUT.mp4]

Needs the development dependencies: the portraits lie inside the wheels of scikit-image and matplotlib (see
``README.md`` here for their sources). The same versions of OpenCV, PyAV and x264 give the same file.

A camera moves over a wall on which the portraits stand side by side. Their heads turn: a dome of depth over each head
shifts its pixels as a rotation would. The programme, in seconds:

    0.0  one face, turning its head left and right, nodding
    2.4  the camera rolls to both sides, 20 degrees at most, and zooms
    4.3  a card passes over the face: confidence falls where it covers
    5.8  the room goes dark, light from one side
    6.8  out of focus
    7.6  the camera draws back: a second face comes in, both turn
    9.2  the camera moves on to the second face; the first one leaves
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import matplotlib.cbook
import numpy as np
import skimage.data
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Plane = NDArray[np.float32]

WIDTH, HEIGHT = 1280, 720  # px
FRAME_RATE = 30  # frames/s
FRAME_COUNT = 312
SEAM = 90  # px of the wall over which one portrait fades into the next


@dataclass(frozen=True)
class Head:
    """Where the head is in the photograph, in its pixels, and where the photograph hangs."""

    centre: tuple[float, float]  # x, y of the middle of the head, hair included
    radii: tuple[float, float]  # half its width and height
    nose: tuple[float, float]
    scale: float  # wall pixels per photograph pixel
    left: int  # wall x of the photograph's left edge


COLLINS = Head(centre=(227, 125), radii=(92, 118), nose=(221, 122), scale=2.3, left=0)
HOPPER = Head(centre=(266, 215), radii=(150, 190), nose=(268, 228), scale=1.55, left=1178 - SEAM)
NOSE_LEVEL = 352  # wall y at which both noses are


class Portrait:
    """A photograph whose head can turn."""

    def __init__(self, photo: Image, head: Head) -> None:
        self.head = head
        height, width = (round(side * head.scale) for side in photo.shape[:2])
        self.image: Image = cv2.resize(photo, (width, height), interpolation=cv2.INTER_LANCZOS4).astype(np.uint8)
        self.top = round(NOSE_LEVEL - head.nose[1] * head.scale)
        self._x, self._y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        dome = self._bump(head.centre, head.radii)
        nose_size = 0.26 * head.radii[0]
        nose = np.exp(-3 * (1 - self._ellipse(head.nose, (nose_size, 1.5 * nose_size)))).astype(np.float32)
        radius = head.radii[0] * head.scale
        self._depth = np.asarray(radius * (0.9 * dome + 0.22 * np.minimum(nose, 1)), np.float32)
        self._inside = cv2.GaussianBlur(np.asarray(np.minimum(3 * dome, 1), np.float32), (0, 0), 0.1 * radius)

    def turned(self, yaw: float, pitch: float) -> Image:
        """The photograph with its head turned: yaw > 0 to the right of the image, pitch > 0 down; radians."""
        if yaw == pitch == 0:
            return self.image
        centre_x, centre_y = (value * self.head.scale for value in self.head.centre)
        shift_x = self._depth * np.sin(yaw) + self._inside * (self._x - centre_x) * (np.cos(yaw) - 1)
        shift_y = self._depth * np.sin(pitch) + self._inside * (self._y - centre_y) * (np.cos(pitch) - 1)
        x, y = self._x, self._y
        for _ in range(5):  # the inverse of "each pixel moves by its shift", as a fixed point
            x, y = self._x - _sampled(shift_x, x, y), self._y - _sampled(shift_y, x, y)
        turned = cv2.remap(self.image, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        return turned.astype(np.uint8)

    def _ellipse(self, centre: tuple[float, float], radii: tuple[float, float]) -> Plane:
        """1 in the centre, 0 on the ellipse, negative outside."""
        (centre_x, centre_y), (radius_x, radius_y) = centre, radii
        scale = self.head.scale
        inside = 1 - ((self._x / scale - centre_x) / radius_x) ** 2 - ((self._y / scale - centre_y) / radius_y) ** 2
        return np.asarray(inside, np.float32)

    def _bump(self, centre: tuple[float, float], radii: tuple[float, float]) -> Plane:
        """A paraboloid, not a sphere: its rim is shallow enough that turned pixels never fold over each other."""
        bump = np.maximum(self._ellipse(centre, radii), 0)
        return np.asarray(cv2.GaussianBlur(bump, (0, 0), 0.12 * radii[0] * self.head.scale), np.float32)


class DemoClip:
    """Draws the clip, frame by frame."""

    def __init__(self) -> None:
        hopper_path = matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
        hopper = cv2.imdecode(np.fromfile(hopper_path, np.uint8), cv2.IMREAD_COLOR_RGB)
        self._portraits = (
            Portrait(np.asarray(skimage.data.astronaut(), np.uint8), COLLINS),
            Portrait(np.asarray(hopper, np.uint8), HOPPER),
        )
        self._x, self._y = np.meshgrid(np.linspace(-1, 1, WIDTH), np.linspace(-1, 1, HEIGHT))

    def draw(self, index: int) -> Image:
        """Frame ``index``: (720, 1280, 3) uint8 RGB."""
        time_s = index / FRAME_RATE
        wall = self._wall(time_s)
        image = _camera(wall, time_s)
        image = _pass_card(image, time_s)
        image = self._light(image, time_s)
        focus = _keyed(time_s, [(6.7, 0), (7.05, 7.0), (7.3, 7.0), (7.6, 0)])
        if focus > 0.05:
            image = cv2.GaussianBlur(image, (0, 0), focus).astype(np.uint8)
        return image

    def _wall(self, time_s: float) -> Image:
        """Both portraits side by side, heads turned as at ``time_s``."""
        collins, hopper = self._portraits
        degree = np.pi / 180
        yaw = degree * _keyed(time_s, [(0.2, 0), (0.8, 22), (1.7, -22), (2.4, 0), (7.7, 0), (8.4, 20), (9.3, -12)])
        pitch = degree * _keyed(time_s, [(0, 0), (0.8, -4), (1.7, 6), (2.3, 0), (4.2, 0), (5.6, 4), (6.4, 0)])
        first = collins.turned(yaw, pitch)
        yaw = degree * _keyed(time_s, [(7.6, 0), (8.0, 16), (8.7, -14), (9.5, 16), (10.2, 0)])
        pitch = degree * _keyed(time_s, [(9.4, 0), (9.8, 6), (10.2, 0)])
        second = hopper.turned(yaw, pitch)
        wall_height = max(collins.top + first.shape[0], hopper.top + second.shape[0])
        wall = np.zeros((wall_height, hopper.head.left + second.shape[1], 3), np.float32)
        for portrait, image in ((collins, first), (hopper, second)):
            tall = _prolonged(image[max(0, -portrait.top) :], max(0, portrait.top), wall_height)
            left = portrait.head.left
            alpha = np.ones(image.shape[1], np.float32)
            if left:
                alpha[:SEAM] = _ease(np.linspace(0, 1, SEAM))
            region = wall[:, left : left + image.shape[1]]
            region += alpha[:, None] * (tall - region)
        return _to_uint8(wall)

    def _light(self, image: Image, time_s: float) -> Image:
        dim = _keyed(time_s, [(5.8, 0), (6.2, 1), (6.5, 1), (7.0, 0)])
        side = _keyed(time_s, [(5.6, -0.6), (7.0, 0.9)])
        vignette = 1 - 0.22 * np.minimum(self._x**2 + self._y**2, 2) / 2
        gain = vignette * (1 - dim * (0.58 - 0.45 * side * self._x))
        tint = 1 + dim * np.array([0.08, -0.02, -0.14])
        return _to_uint8(image * (gain[..., None] * tint))


def _prolonged(image: Image, above: int, height: int) -> Image:
    """The photographs end at different heights: their border rows go on, softened so that they leave no streaks."""
    below = height - above - image.shape[0]
    tall = cv2.copyMakeBorder(image, above, below, 0, 0, cv2.BORDER_REPLICATE)
    rows = np.arange(height)
    beyond = np.maximum(above - rows, rows - (above + image.shape[0]))
    softness = np.clip(beyond / 30, 0, 1)[:, None, None]
    return _to_uint8(tall + softness * (cv2.GaussianBlur(tall, (0, 0), 14).astype(np.float32) - tall))


def _camera(wall: Image, time_s: float) -> Image:
    """What the camera sees of the wall."""
    x = _keyed(time_s, [(0, 562), (2.4, 566), (4.2, 560), (7.6, 566), (8.5, 900), (9.2, 940), (10.2, 1322)])
    y = _keyed(time_s, [(0, 362), (4.2, 358), (7.6, 362), (8.5, 452), (9.2, 450), (10.2, 392)])
    zoom = _keyed(
        time_s, [(0, 1.2), (2.4, 1.22), (3.2, 1.4), (4.2, 1.22), (7.6, 1.2), (8.5, 0.76), (9.2, 0.76), (10.2, 1.15)]
    )
    roll = _keyed(time_s, [(2.4, 0), (2.9, 20), (3.7, -18), (4.3, 0)])  # degrees, clockwise
    # A hand-held camera never rests.
    x += 5 * np.sin(2.1 * time_s) + 2 * np.sin(5.3 * time_s)
    y += 4 * np.sin(1.7 * time_s + 1) + 2 * np.sin(4.7 * time_s)
    frame_from_wall = cv2.getRotationMatrix2D((x, y), -roll, zoom)
    frame_from_wall[:, 2] += (WIDTH / 2 - x, HEIGHT / 2 - y)
    seen = cv2.warpAffine(
        wall, frame_from_wall, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )
    return seen.astype(np.uint8)


def _pass_card(image: Image, time_s: float) -> Image:
    """A coloured card goes over one half of the face, then over the mouth, and leaves below."""
    if not 4.3 < time_s < 6.1:
        return image
    centre_x = _keyed(time_s, [(4.3, 1490), (4.9, 745), (5.2, 725), (5.6, 620), (6.1, 520)])
    centre_y = _keyed(time_s, [(4.3, 470), (4.9, 335), (5.2, 345), (5.6, 580), (6.1, 1000)])
    angle = np.radians(_keyed(time_s, [(4.3, -30), (4.9, -6), (5.2, -3), (6.1, 24)]))
    card_from_frame = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    x, y = np.meshgrid(np.arange(WIDTH) - centre_x, np.arange(HEIGHT) - centre_y)
    across, along = (row[0] * x + row[1] * y for row in card_from_frame)

    def coverage(half_width: float, half_height: float, softness: float) -> NDArray[np.float64]:
        corner = 26.0
        outside = np.hypot(
            np.maximum(np.abs(across) - half_width + corner, 0), np.maximum(np.abs(along) - half_height + corner, 0)
        )
        return np.asarray(np.clip((corner - outside) / softness + 0.5, 0, 1), np.float64)

    shaded = image * (1 - 0.45 * coverage(150, 215, 60)[..., None])
    colour = np.array([36, 122, 130]) * (1 + 0.0008 * (along - across))[..., None]
    rim = coverage(135, 200, 2)[..., None]
    paper = coverage(121, 186, 2)[..., None]
    card = paper * colour + (1 - paper) * np.array([236, 232, 222])
    return _to_uint8(rim * card + (1 - rim) * shaded)


def _sampled(plane: Plane, x: Plane, y: Plane) -> Plane:
    return np.asarray(cv2.remap(plane.astype(np.float32), x, y, cv2.INTER_LINEAR), np.float32)


def _ease(progress: NDArray[np.float64]) -> NDArray[np.float64]:
    return progress * progress * (3 - 2 * progress)


def _keyed(time_s: float, keys: Sequence[tuple[float, float]]) -> float:
    """A value that eases from key to key, (seconds, value) each, and rests outside of them."""
    times, values = zip(*keys, strict=True)
    after = int(np.searchsorted(times, time_s, side="right"))
    if after in (0, len(keys)):
        return float(values[min(after, len(keys) - 1)])
    progress = np.asarray((time_s - times[after - 1]) / (times[after] - times[after - 1]))
    return float(values[after - 1] + (values[after] - values[after - 1]) * _ease(progress))


def _to_uint8(image: NDArray[np.floating]) -> Image:
    return np.asarray(np.clip(np.rint(image), 0, 255), np.uint8)


def encode(path: Path) -> None:
    """Writes the clip: H.264, yuv420p, no audio."""
    clip = DemoClip()
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        # One thread, because x264 divides its rate control between threads: more of them give another file.
        stream = container.add_stream(
            "libx264", rate=FRAME_RATE, options={"crf": "23", "preset": "slow", "threads": "1"}
        )
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = Fraction(1, FRAME_RATE)
        context = stream.codec_context
        context.color_range, context.colorspace, context.color_primaries, context.color_trc = 1, 1, 1, 1  # BT.709
        for index in range(FRAME_COUNT):
            picture = av.VideoFrame.from_ndarray(clip.draw(index), format="rgb24")
            picture = picture.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
            picture.pts, picture.time_base = index, Fraction(1, FRAME_RATE)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


if __name__ == "__main__":
    encode(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("demo.mp4"))
