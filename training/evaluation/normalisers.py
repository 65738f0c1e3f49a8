"""Normalisers: the lengths by which errors are divided, by name. All are taken from the labels, never from predictions.

Legend: N faces, K landmarks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from models.errors import FewmarkError
from models.landmark_schemes import LandmarkScheme
from tracker.types import FloatArray

OUTER_EYES = "outer-eyes"


@dataclass(frozen=True, slots=True, eq=False)
class LabelledFaces:
    """What normalising lengths are taken from."""

    points: FloatArray  # (N, K, 2) pixels; any value where a landmark is not labelled
    visible: np.ndarray  # (N, K) bool; False: not labelled
    scheme: LandmarkScheme
    boxes: FloatArray | None = None  # (N, 4) left, top, right, bottom of the data set's own face boxes; NaN: none


def _outer_eyes(faces: LabelledFaces) -> FloatArray:
    if faces.scheme.normaliser is None:
        raise FewmarkError(f"scheme {faces.scheme.name} names no outer eye corners; choose another --normaliser")
    a, b = faces.scheme.normaliser
    lengths = np.linalg.norm(faces.points[:, a] - faces.points[:, b], axis=-1)
    return np.where(faces.visible[:, a] & faces.visible[:, b], lengths, np.nan)


def _pupils(faces: LabelledFaces) -> FloatArray:
    groups = _eye_centres(faces.scheme)
    if groups is None:
        raise FewmarkError(f"scheme {faces.scheme.name} has no eyes; choose another --normaliser")
    left, right = (faces.points[:, group].mean(axis=1) for group in map(list, groups))
    labelled = faces.visible[:, [*groups[0], *groups[1]]].all(axis=1)
    return np.where(labelled, np.linalg.norm(left - right, axis=-1), np.nan)


def _eye_centres(scheme: LandmarkScheme) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """The points whose means are the eyes' centres: pupils where the scheme has them, else those around the eyes."""
    pupils = [i for i, name in enumerate(scheme.point_names) if name.endswith(("_pupil", "_eye_center"))]
    if len(pupils) == 2:
        return (pupils[0],), (pupils[1],)
    names = scheme.point_names
    if scheme.level_points is None or not all("eye" in names[i] for group in scheme.level_points for i in group):
        return None
    return scheme.level_points


def _box_sides(faces: LabelledFaces) -> FloatArray:
    """(N, 2) width and height of the data set's box, or of the box around the labelled landmarks where it has none."""
    sides = _hull_sides(faces)
    if faces.boxes is None:
        return sides
    given = faces.boxes[:, 2:] - faces.boxes[:, :2]
    return np.where(np.isfinite(given), given, sides)


def _hull_sides(faces: LabelledFaces) -> FloatArray:
    labelled = faces.visible[..., None]
    low = np.where(labelled, faces.points, np.inf).min(axis=1)
    high = np.where(labelled, faces.points, -np.inf).max(axis=1)
    sides: FloatArray = np.maximum(high - low, 0)  # no landmark at all: 0, and so no length
    return sides


NORMALISERS: dict[str, Callable[[LabelledFaces], FloatArray]] = {
    OUTER_EYES: _outer_eyes,  # 300-W, WFLW: "inter-ocular"
    "pupils": _pupils,  # "inter-pupil"; eye centres are the means of the eyes' points where pupils are not labelled
    "box-diagonal": lambda faces: np.linalg.norm(_box_sides(faces), axis=-1),  # AFLW: NME_diag
    "box-geometric-mean": lambda faces: np.sqrt(_box_sides(faces).prod(axis=-1)),  # AFLW, AFLW2000-3D: NME_box
    "box-width": lambda faces: _box_sides(faces)[:, 0],  # AFLW, in 3FabRec, section 4.1
    # Zhu and Ramanan, CVPR 2012: mean of width and height; always around the landmarks.
    "face-size": lambda faces: _hull_sides(faces).mean(axis=-1),
}


def default_normaliser(scheme: LandmarkScheme) -> str:
    """The one that a scheme's papers use: the outer eye corners, or the box where a scheme has none."""
    return OUTER_EYES if scheme.normaliser is not None else "box-geometric-mean"


def check_normaliser(name: str) -> str:
    """The name, if there is such a normaliser.

    Raises:
        FewmarkError: there is none.
    """
    if name not in NORMALISERS:
        raise FewmarkError(f"normaliser {name!r} is unknown; choose one of {', '.join(NORMALISERS)}")
    return name


def normalising_lengths(faces: LabelledFaces, normaliser: str | None = None) -> FloatArray:
    """(N,) float32 pixels; NaN for a face on which the normaliser's points are not labelled, or coincide.

    Args:
        normaliser: a name of ``NORMALISERS``; None takes the scheme's default.

    Raises:
        FewmarkError: the name is unknown, or the scheme lacks the points.
    """
    lengths = NORMALISERS[check_normaliser(normaliser or default_normaliser(faces.scheme))](faces)
    return np.where(lengths > 0, lengths, np.nan).astype(np.float32)
