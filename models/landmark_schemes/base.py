"""LandmarkScheme: which points a model knows, how they are joined, mirrored and normalised.

A scheme is data. The tracker, the overlays, the augmentation and the evaluation take what they need from it, so that a
set of one's own needs no code: ``LandmarkScheme`` is built from a JSON object as well (``scheme_from_dict``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from models.errors import FewmarkError


class FaceSquare(NamedTuple):
    """Where the face lies that a scheme's points belong to: the square around iBUG's 68 points, from brows to chin.

    In units of the side of the square around the scheme's own points, in the levelled frame. It is what a face detector
    finds, so that crops from points and crops from detections are the same.
    """

    side: float
    right: float  # of its centre from that of the points' square
    down: float


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
    # None: the points' own square. Not compared: the same points labelled are the same scheme.
    face_square: FaceSquare | None = field(default=None, compare=False)

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
            "face_square": list(self.face_square) if self.face_square else None,
        }


def scheme_from_dict(data: dict[str, Any]) -> LandmarkScheme:
    """The scheme that ``LandmarkScheme.to_dict`` wrote.

    Raises:
        FewmarkError: a field is missing or of the wrong form.
    """
    try:
        normaliser = data.get("normaliser")
        level = data.get("level_points")
        square = data.get("face_square")
        return LandmarkScheme(
            name=str(data["name"]),
            point_names=tuple(str(n) for n in data["point_names"]),
            edges=tuple((int(a), int(b)) for a, b in data.get("edges", [])),
            mirror_pairs=tuple((int(a), int(b)) for a, b in data.get("mirror_pairs", [])),
            normaliser=(int(normaliser[0]), int(normaliser[1])) if normaliser else None,
            level_points=(tuple(map(int, level[0])), tuple(map(int, level[1]))) if level else None,
            source=str(data.get("source", "")),
            face_square=FaceSquare(*map(float, square)) if square else None,
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise FewmarkError(f"landmark scheme {data.get('name', '?')}: not readable ({error!r})") from error


def mirror_pairs_by_name(point_names: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Pairs of points whose names differ in ``left`` and ``right`` alone, such as ``left_eye`` and ``right_eye``.

    Every ``left`` of a name becomes ``right`` and the other way round: ``left_eye_left_corner`` is the partner of
    ``right_eye_right_corner``. Capitals may be used: ``LeftEyeLeftCorner``.
    """
    index = {name: i for i, name in enumerate(point_names)}
    other = {"left": "right", "Left": "Right", "LEFT": "RIGHT"}
    other |= {right: left for left, right in other.items()}
    pairs = []
    for name, i in index.items():
        partner = index.get(re.sub("|".join(other), lambda side: other[side.group()], name), i)
        if i < partner:
            pairs.append((i, partner))
    return tuple(pairs)


def scheme_from_names(name: str, point_names: Sequence[str], source: str = "") -> LandmarkScheme:
    """A scheme of one's own, with what its point names tell: mirror pairs, and the eyes by which crops are levelled.

    Raises:
        FewmarkError: a name comes up twice, or there is none.
    """
    eyes: dict[str, list[int]] = {"left": [], "right": []}
    for i, point_name in enumerate(point_names):
        side = re.search("left|right", point_name.lower())
        if side and re.search(r"eye(?!_?-? ?(brow|lash|lid))|pupil", point_name.lower()):
            eyes[side.group()].append(i)
    level = (tuple(eyes["left"]), tuple(eyes["right"])) if eyes["left"] and eyes["right"] else None
    pairs = mirror_pairs_by_name(point_names)
    return LandmarkScheme(name, tuple(point_names), mirror_pairs=pairs, level_points=level, source=source)


def chain(first: int, last: int, *, closed: bool = False) -> tuple[tuple[int, int], ...]:
    """The edges of a contour through the points ``first`` to ``last`` in order."""
    lines = tuple((i, i + 1) for i in range(first, last))
    return (*lines, (last, first)) if closed else lines


def numbered(prefix: str, count: int) -> tuple[str, ...]:
    """``prefix_0`` to ``prefix_<count - 1>``."""
    return tuple(f"{prefix}_{i}" for i in range(count))
