"""What a test needs beside the project itself."""

from __future__ import annotations

import importlib.util

import pytest


def needs(*packages: str, extra: str) -> None:
    """Skips where a package is missing. Unlike importorskip it imports none: OpenVINO's would report to its maker.

    Args:
        extra: of the project, which brings them.
    """
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: pip install 'fewmark[{extra}]'")
