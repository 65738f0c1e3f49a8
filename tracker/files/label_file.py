"""Label files ``*.labels.json``: landmarks that a user set by hand, as the labelling window writes them.

    {
      "format": "fewmark-labels", "version": 1,
      "scheme": "300w-68",
      "faces": [
        {"image": "photos/a.jpg", "points": [[101.5, 88.25], null, ...], "split": "train"},
        ...
      ]
    }

``scheme`` is the name of a built-in one, or all of one's own (``LandmarkScheme.to_dict``). A face stands on a line of
its own, so that files compare well; an image with two faces comes up twice. ``image`` is relative to the label file,
with forward slashes: folder and labels can be moved together. Points are (x, y) in pixels of the image as it is
displayed, (0, 0) the centre of the top-left one; null: not labelled. ``split`` is "train" (the default) or "test",
``subset`` names a part for tables, and faces of one ``group`` (a person, a film) are never split.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.errors import FewmarkError
from models.landmark_schemes import SCHEMES, LandmarkScheme, get_scheme, scheme_from_dict
from tracker.types import FloatArray

LABEL_SUFFIX = ".labels.json"  # not .fewmark.json: batch runs write sidecars of that name into any folder
FORMAT = "fewmark-labels"
VERSION = 1
_SPLITS = ("train", "test")


@dataclass(frozen=True, slots=True, eq=False)
class LabelledFace:
    """One face of a label file."""

    image_path: Path
    points: FloatArray  # (K, 2) image px; NaN: not labelled
    split: str = "train"  # or "test"
    subset: str = ""
    group: str = ""  # faces that share it are never split; empty: those of one image


@dataclass(frozen=True, slots=True)
class LabelFile:
    """Content of a label file."""

    scheme: LandmarkScheme
    faces: tuple[LabelledFace, ...] = ()
    unreadable: tuple[str, ...] = ()  # "face 3: reason": entries that writing this again would lose


def read_label_file(path: Path) -> LabelFile:
    """Reads a label file. A face that is of the wrong form is named in ``unreadable``; images are not looked at.

    Raises:
        FewmarkError: the file is missing, damaged, none of ours or of a newer format, or its scheme is unknown.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FewmarkError(f"{path}: not a readable label file ({error})") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise FewmarkError(f"{path}: no label file of Fewmark (its format should be {FORMAT!r})")
    version, entries = content.get("version"), content.get("faces")
    if not isinstance(version, int) or not isinstance(entries, list):
        raise FewmarkError(f"{path}: version and faces should be a number and a list; restore the file")
    if version > VERSION:
        raise FewmarkError(f"{path}: format version {version} is newer than this program; update Fewmark")
    scheme = _scheme(path, content.get("scheme"))
    faces, unreadable = [], []
    for number, entry in enumerate(entries, start=1):
        try:
            faces.append(_face(entry, path.parent, scheme.num_points))
        except (KeyError, TypeError, ValueError) as error:
            reason = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
            unreadable.append(f"face {number}: {reason}")
    return LabelFile(scheme, tuple(faces), tuple(unreadable))


def write_label_file(path: Path, labels: LabelFile) -> None:
    """Writes the file whole or not at all: whatever happens, the labels that were there before survive.

    Raises:
        FewmarkError: a face has another number of points than the scheme, or the file can't be written.
    """
    count = labels.scheme.num_points
    if wrong := [face for face in labels.faces if face.points.shape != (count, 2)]:
        raise FewmarkError(f"{wrong[0].image_path}: {count} landmarks expected, found {len(wrong[0].points)}")
    known = SCHEMES.get(labels.scheme.name) == labels.scheme
    scheme = labels.scheme.name if known else labels.scheme.to_dict()
    faces = ",\n    ".join(json.dumps(_entry(face, path.parent), allow_nan=False) for face in labels.faces)
    text = (
        f'{{\n  "format": "{FORMAT}",\n  "version": {VERSION},\n  "scheme": {json.dumps(scheme)},\n'
        f'  "faces": [\n    {faces}\n  ]\n}}\n'
    )
    partial = path.with_name(f"{path.name}.part")
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise FewmarkError(f"{path}: can't be written ({error.strerror}); the labels before it are kept") from error


def _scheme(path: Path, scheme: Any) -> LandmarkScheme:
    if not isinstance(scheme, str | dict):
        raise FewmarkError(f"{path}: no landmark scheme; give the name of one ({', '.join(SCHEMES)}) or its fields")
    try:
        return get_scheme(scheme) if isinstance(scheme, str) else scheme_from_dict(scheme)
    except FewmarkError as error:
        raise FewmarkError(f"{path}: {error}") from error


def _face(entry: Any, folder: Path, count: int) -> LabelledFace:
    """The face of one entry. KeyError, TypeError or ValueError: it is not of the form that it should have."""
    if not isinstance(entry, dict):
        raise ValueError("not an object with image and points")
    image, points, split = entry["image"], entry["points"], entry.get("split", "train")
    subset, group = entry.get("subset", ""), entry.get("group", "")
    if not (isinstance(image, str) and image and isinstance(subset, str) and isinstance(group, str)):
        raise ValueError("image, subset and group should be texts")
    if split not in _SPLITS:
        raise ValueError(f"split {split!r} is neither train nor test")
    if not isinstance(points, list) or len(points) != count:
        raise ValueError(f"{count} landmarks expected, found {len(points) if isinstance(points, list) else points!r}")
    values = np.array([(np.nan, np.nan) if point is None else _pair(point) for point in points], dtype=np.float32)
    return LabelledFace(folder / image, values, split, subset, group)


def _pair(point: Any) -> tuple[float, float]:
    if not isinstance(point, list) or len(point) != 2 or not all(type(value) in (int, float) for value in point):
        raise ValueError(f"landmark {point!r} is neither [x, y] nor null")
    if not all(map(math.isfinite, point)):  # Python reads and writes NaN, which is no JSON
        raise ValueError(f"landmark {point!r} is not finite; null says that it is not labelled")
    return float(point[0]), float(point[1])


def _entry(face: LabelledFace, folder: Path) -> dict[str, Any]:
    """Plain JSON values of one face."""
    try:
        image = Path(os.path.relpath(face.image_path, folder)).as_posix()
    except ValueError:  # on another drive of Windows
        image = face.image_path.resolve().as_posix()
    points = [None if np.isnan(point).any() else [round(float(value), 3) for value in point] for point in face.points]
    optional = {"subset": face.subset, "group": face.group}
    return {"image": image, "points": points, "split": face.split, **{k: v for k, v in optional.items() if v}}
