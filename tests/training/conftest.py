import shutil
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
def twelve_labelled(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 300-W with the first twelve faces of Helen; not to be written to."""
    root = tmp_path_factory.mktemp("300w")
    target = root / "helen/trainset"
    target.mkdir(parents=True)
    for pts in sorted((shared_data / "300w/helen/trainset").glob("*.pts"))[:12]:
        for path in (pts, pts.with_suffix(".jpg")):
            shutil.copy(path, target)
    return root
