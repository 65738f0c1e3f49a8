import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest


@pytest.fixture(scope="session")
def sixteen_faces(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of photos of single people, 128 px wide and high, none of them labelled."""
    folder = tmp_path_factory.mktemp("faces")
    for path in sorted((shared_data / "300w/helen/trainset").glob("*.jpg"))[:16]:
        image = cv2.resize(cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR), (128, 128))
        cv2.imencode(".png", image)[1].tofile(folder / f"{path.stem}.png")
    return folder


@pytest.fixture(scope="session")
def labelled_faces(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Makes a folder of 300-W with the first faces of Helen, as many as it is told."""

    def make(count: int) -> Path:
        root = tmp_path_factory.mktemp("300w")
        target = root / "helen/trainset"
        target.mkdir(parents=True)
        for pts in sorted((shared_data / "300w/helen/trainset").glob("*.pts"))[:count]:
            for path in (pts, pts.with_suffix(".jpg")):
                shutil.copy(path, target)
        return root

    return make


@pytest.fixture(scope="session")
def twelve_labelled(labelled_faces: Callable[[int], Path]) -> Path:
    """A folder of 300-W with twelve faces; not to be written to."""
    return labelled_faces(12)
