"""The landmark scheme of a file that has point names, or only numbers, but no scheme."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from models.errors import FewmarkError
from models.landmark_schemes import IBUG_68, WFLW_98, LandmarkScheme, scheme_from_dict, scheme_from_names

SCHEME_SUFFIX = ".scheme.json"
_BY_COUNT = {68: IBUG_68, 98: WFLW_98}  # mark-ups so common that their points go by numbers alone


def scheme_of(labels: Path, names: Sequence[str]) -> LandmarkScheme:
    """The scheme of the points of a label file.

    ``<stem>.scheme.json`` beside the file has it, where it is (as ``LandmarkScheme.to_dict`` gives it). Else 68 or 98
    points with numbers for names are iBUG's or WFLW's; any others are a scheme of their own, whose mirror pairs follow
    from the names ("left_eye" and "right_eye"): numbers have none.

    Args:
        names: of the points, in their order.

    Raises:
        FewmarkError: the scheme file is unreadable, or has another number of points.
    """
    path = labels.with_name(labels.stem + SCHEME_SUFFIX)
    if path.is_file():
        try:
            scheme = scheme_from_dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, AttributeError) as error:
            raise FewmarkError(f"{path}: not a readable landmark scheme ({error})") from error
        if scheme.num_points != len(names):
            raise FewmarkError(f"{path}: {scheme.num_points} points, but {labels.name} has {len(names)}")
        return scheme
    if all(name.isdecimal() for name in names):
        if len(names) in _BY_COUNT:
            return _BY_COUNT[len(names)]
        names = [f"point_{name}" for name in names]
    return scheme_from_names(f"{labels.stem}-{len(names)}", names, source=labels.name)
