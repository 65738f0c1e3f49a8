"""Landmark schemes: which points a model knows, how they are joined, mirrored and normalised.

A scheme is data. The tracker, the overlays, the augmentation and the evaluation take what they need from it, so that a
set of one's own needs no code: ``LandmarkScheme`` is built from a JSON object as well (``scheme_from_dict``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from models.errors import FewmarkError


@dataclass(frozen=True, slots=True)
class LandmarkScheme:
    """A set of K landmarks in a fixed order."""

    name: str
    point_names: tuple[str, ...]  # K, unique
    edges: tuple[tuple[int, int], ...] = ()  # contour lines to draw
    mirror_pairs: tuple[tuple[int, int], ...] = ()  # points that change places when the image is flipped left-right
    normaliser: tuple[int, int] | None = None  # the two points whose distance divides the error in the NME
    level_points: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    # ^ image-left and image-right points of an upright face, whose mean positions a crop turns level
    source: str = ""  # who defined it

    def __post_init__(self) -> None:
        k = self.num_points
        if k == 0 or len(set(self.point_names)) != k:
            raise FewmarkError(f"landmark scheme {self.name}: point names must be unique and at least one")
        groups: Sequence[tuple[int, ...]] = (
            *self.edges,
            *self.mirror_pairs,
            *([self.normaliser] if self.normaliser else []),
            *(self.level_points or ()),
        )
        if any(not 0 <= i < k for group in groups for i in group):
            raise FewmarkError(f"landmark scheme {self.name}: a point index is outside 0..{k - 1}")
        mirrored = [i for pair in self.mirror_pairs for i in pair]
        if len(mirrored) != len(set(mirrored)):
            raise FewmarkError(f"landmark scheme {self.name}: a point stands in more than one mirror pair")

    @property
    def num_points(self) -> int:
        return len(self.point_names)

    @property
    def mirror_permutation(self) -> tuple[int, ...]:
        """(K,) where each point's label comes from after a left-right flip; its own inverse."""
        order = list(range(self.num_points))
        for a, b in self.mirror_pairs:
            order[a], order[b] = b, a
        return tuple(order)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; ``scheme_from_dict`` is the inverse."""
        return {
            "name": self.name,
            "point_names": list(self.point_names),
            "edges": [list(e) for e in self.edges],
            "mirror_pairs": [list(p) for p in self.mirror_pairs],
            "normaliser": list(self.normaliser) if self.normaliser else None,
            "level_points": [list(g) for g in self.level_points] if self.level_points else None,
            "source": self.source,
        }


def scheme_from_dict(data: dict[str, Any]) -> LandmarkScheme:
    """The scheme that ``LandmarkScheme.to_dict`` wrote.

    Raises:
        FewmarkError: a field is missing or of the wrong form.
    """
    try:
        normaliser = data.get("normaliser")
        level = data.get("level_points")
        return LandmarkScheme(
            name=str(data["name"]),
            point_names=tuple(str(n) for n in data["point_names"]),
            edges=tuple((int(a), int(b)) for a, b in data.get("edges", [])),
            mirror_pairs=tuple((int(a), int(b)) for a, b in data.get("mirror_pairs", [])),
            normaliser=(int(normaliser[0]), int(normaliser[1])) if normaliser else None,
            level_points=(tuple(map(int, level[0])), tuple(map(int, level[1]))) if level else None,
            source=str(data.get("source", "")),
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise FewmarkError(f"landmark scheme {data.get('name', '?')}: not readable ({error!r})") from error


def _chain(first: int, last: int, *, closed: bool = False) -> tuple[tuple[int, int], ...]:
    lines = tuple((i, i + 1) for i in range(first, last))
    return (*lines, (last, first)) if closed else lines


def _numbered(prefix: str, count: int) -> tuple[str, ...]:
    return tuple(f"{prefix}_{i}" for i in range(count))


# "left" and "right" in the names are the image's, for an upright face that looks at the camera.
IBUG_68 = LandmarkScheme(
    name="300w-68",
    point_names=(
        *_numbered("jaw", 17),
        *_numbered("left_brow", 5),
        *_numbered("right_brow", 5),
        *_numbered("nose_bridge", 4),
        *_numbered("nose_base", 5),
        *_numbered("left_eye", 6),
        *_numbered("right_eye", 6),
        *_numbered("outer_lip", 12),
        *_numbered("inner_lip", 8),
    ),
    edges=(
        *_chain(0, 16),
        *_chain(17, 21),
        *_chain(22, 26),
        *_chain(27, 30),
        *_chain(31, 35),
        *_chain(36, 41, closed=True),
        *_chain(42, 47, closed=True),
        *_chain(48, 59, closed=True),
        *_chain(60, 67, closed=True),
    ),
    mirror_pairs=(
        *((i, 16 - i) for i in range(8)),
        *((17 + i, 26 - i) for i in range(5)),
        (31, 35),
        (32, 34),
        *((36 + i, 45 - i) for i in range(4)),
        (40, 47),
        (41, 46),
        (48, 54),
        (49, 53),
        (50, 52),
        (59, 55),
        (58, 56),
        (60, 64),
        (61, 63),
        (67, 65),
    ),
    normaliser=(36, 45),
    level_points=((36, 37, 38, 39, 40, 41), (42, 43, 44, 45, 46, 47)),
    source="Sagonas et al., 300 Faces in-the-Wild Challenge, ICCV-W 2013 (iBUG 68-point mark-up)",
)

SCHEMES: dict[str, LandmarkScheme] = {IBUG_68.name: IBUG_68}


def get_scheme(name: str) -> LandmarkScheme:
    """A built-in scheme by name.

    Raises:
        FewmarkError: there is none of that name.
    """
    try:
        return SCHEMES[name]
    except KeyError:
        raise FewmarkError(f"landmark scheme {name!r} is unknown; built in: {', '.join(SCHEMES)}") from None
