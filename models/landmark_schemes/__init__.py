"""Landmark schemes: the type, and those that the field's data sets use, a file each.

"left" and "right" in the point names are the image's, for an upright face that looks at the camera.
"""

from __future__ import annotations

from models.errors import FewmarkError
from models.landmark_schemes.aflw import AFLW_19, AFLW_21
from models.landmark_schemes.base import (
    FaceSquare,
    LandmarkScheme,
    mirror_pairs_by_name,
    scheme_from_dict,
    scheme_from_names,
)
from models.landmark_schemes.cofw import COFW_29
from models.landmark_schemes.ibug import IBUG_68, PROJECTED_68
from models.landmark_schemes.wflw import WFLW_98

SCHEMES: dict[str, LandmarkScheme] = {
    scheme.name: scheme for scheme in (IBUG_68, PROJECTED_68, WFLW_98, AFLW_19, AFLW_21, COFW_29)
}

# Their points span the face from the brows to the chin, as iBUG's do.
FACE_WIDE_SCHEMES = frozenset({IBUG_68.name, PROJECTED_68.name, WFLW_98.name})


def get_scheme(name: str) -> LandmarkScheme:
    """A built-in scheme by name.

    Raises:
        FewmarkError: there is none of that name.
    """
    try:
        return SCHEMES[name]
    except KeyError:
        raise FewmarkError(f"landmark scheme {name!r} is unknown; built in: {', '.join(SCHEMES)}") from None


__all__ = [
    "AFLW_19",
    "AFLW_21",
    "COFW_29",
    "FACE_WIDE_SCHEMES",
    "IBUG_68",
    "PROJECTED_68",
    "SCHEMES",
    "WFLW_98",
    "FaceSquare",
    "LandmarkScheme",
    "get_scheme",
    "mirror_pairs_by_name",
    "scheme_from_dict",
    "scheme_from_names",
]
