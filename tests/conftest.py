"""Fixtures that several test folders need."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from goldens import Goldens
from hypothesis import settings

from tracker.config import TrackerConfig
from tracker.following.pipeline import FaceTracker, open_tracker

ROOT = Path(__file__).resolve().parent.parent

settings.register_profile("any machine", deadline=None)  # a busy one may take a second over anything
settings.load_profile("any machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-goldens", action="store_true", help="write the golden pictures anew; look at them")


@pytest.fixture
def goldens(request: pytest.FixtureRequest) -> Goldens:
    """The pictures in the folder ``golden`` beside the test."""
    return Goldens(request.path.parent / "golden", request.config.getoption("--update-goldens"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real faces and videos, ``data`` in FEWMARK_SHARED or in ``../shared``; skips where there is none.

    Its licences do not allow the project to carry it.
    """
    data = Path(os.environ.get("FEWMARK_SHARED") or ROOT.parent / "shared") / "data"
    if not data.is_dir():
        pytest.skip(f"needs real faces and videos: no {data} (FEWMARK_SHARED names another place)")
    return data


@pytest.fixture(scope="session")
def _shared_tracker() -> Iterator[FaceTracker]:
    with open_tracker(TrackerConfig()) as tracker:
        yield tracker


@pytest.fixture
def face_tracker(_shared_tracker: FaceTracker) -> FaceTracker:
    """A tracker with the shipped default model and the real detector, that has seen nothing yet."""
    _shared_tracker.reset(restart_ids=True)
    return _shared_tracker
