"""Which Fewmark this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def fewmark_version() -> str:
    """The installed version, as in pyproject.toml; "unknown" in a checkout that was not installed."""
    try:
        return version("fewmark")
    except PackageNotFoundError:
        return "unknown"
