"""Fixtures that several test folders need."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real faces and videos, ``data`` in FEWMARK_SHARED or in ``../shared``; skips where there is none.

    Its licences do not allow the project to carry it.
    """
    data = Path(os.environ.get("FEWMARK_SHARED") or ROOT.parent / "shared") / "data"
    if not data.is_dir():
        pytest.skip(f"needs real faces and videos: no {data} (FEWMARK_SHARED names another place)")
    return data
