"""MATLAB files up to version 7 through SciPy, which comes with the extra ``datasets``."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.errors import FewmarkError


def require_scipy() -> None:
    """For readers of many files: asked once, instead of skipping every file for the same reason.

    Raises:
        FewmarkError: SciPy is missing.
    """
    try:
        import scipy.io  # noqa: F401
    except ImportError as error:
        raise FewmarkError("reading .mat files needs SciPy: pip install 'fewmark[datasets]'") from error


def load_mat(path: Path, names: Sequence[str]) -> dict[str, Any]:
    """The named variables of a ``.mat`` file, as SciPy gives them: arrays, cells as arrays of objects.

    Raises:
        FewmarkError: SciPy is missing, the file is missing or damaged, or a variable isn't in it.
    """
    require_scipy()
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        content = loadmat(path, variable_names=list(names))
    # SciPy has no one error for a damaged file: what is raised depends on the byte that is wrong.
    except (OSError, zlib.error, MatReadError, ValueError, TypeError, LookupError, NotImplementedError) as error:
        raise FewmarkError(f"{path}: not a readable .mat file ({error}); obtain it again") from error
    if missing := [name for name in names if name not in content]:
        raise FewmarkError(f"{path}: no variable {missing[0]!r} in it; obtain it again")
    return dict(content)
