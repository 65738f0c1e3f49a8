"""Labels of one's own as a dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.errors import FewmarkError
from models.landmark_schemes import scheme_from_names
from tracker.files.label_file import LabelFile, LabelledFace, write_label_file
from training.datasets import DATASETS, select_samples

LABELS = DATASETS["labels"]
SCHEME = scheme_from_names("cat", ["left_eye", "right_eye", "nose"])
POINTS = np.array([[20, 30], [60, 30], [40, 50]], np.float32)


@pytest.fixture
def ten_faces(tmp_path: Path) -> Path:
    """Nine of training, the second of them without its nose, and one test face."""
    faces = []
    for i in range(10):
        path = tmp_path / f"film/{i}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (100, 100)).save(path)
        points = POINTS + i
        if i == 1:
            points[2] = np.nan
        faces.append(LabelledFace(path, points, split="test" if i == 9 else "train"))
    write_label_file(tmp_path / "cat.labels.json", LabelFile(SCHEME, tuple(faces)))
    return tmp_path


def test_ten_labelled_frames(ten_faces: Path) -> None:
    report = LABELS.read(ten_faces)
    assert report.skipped == []
    assert len(report.samples) == 9
    second = report.samples[1]
    assert second.scheme == SCHEME
    assert second.visible.tolist() == [True, True, False]
    np.testing.assert_allclose(second.points, POINTS + 1, atol=1e-3)
    assert second.load_image().shape == (100, 100, 3)
    assert second.subset == "cat"
    assert len(LABELS.read(ten_faces / "cat.labels.json", "test").samples) == 1


def test_one_of_ten_is_held_out(ten_faces: Path) -> None:
    train, validation = (select_samples("labels", ten_faces, part).samples for part in ("train", "validation"))
    assert [s.image_path.stem for s in train] == list("01234567")
    assert [s.image_path.stem for s in validation] == ["8"]
    with pytest.raises(FewmarkError, match="no validation face among 9, as 0% are held out"):
        select_samples("labels", ten_faces, "validation", validation=0)


def test_bad_faces_are_skipped_and_named(ten_faces: Path) -> None:
    path = ten_faces / "cat.labels.json"
    path.write_text(path.read_text().replace("[20.0, 30.0]", "[20.0]"))
    (ten_faces / "film/2.png").unlink()
    report = LABELS.read(ten_faces)
    assert len(report.samples) == 7
    assert report.skipped[0] == "cat.labels.json, face 1: landmark [20.0] is neither [x, y] nor null"
    assert "no such image" in report.skipped[1]


def test_which_file_must_be_clear(ten_faces: Path) -> None:
    with pytest.raises(FewmarkError, match=r"no \*\.labels\.json file here"):
        LABELS.read(ten_faces / "film")
    with pytest.raises(FewmarkError, match=r"nowhere\.labels\.json: no such file or folder"):
        LABELS.read(ten_faces / "nowhere.labels.json")
    (ten_faces / "cat.csv").write_text("image,eye_x,eye_y\n")
    with pytest.raises(FewmarkError, match=r"cat\.csv: not a label file .* pass --dataset csv"):
        LABELS.read(ten_faces / "cat.csv")
    write_label_file(ten_faces / "dog.labels.json", LabelFile(SCHEME))
    with pytest.raises(FewmarkError, match="2 label files here; pass the path of one"):
        LABELS.read(ten_faces)
    with pytest.raises(FewmarkError, match="no train face of labels here"):
        LABELS.read(ten_faces / "dog.labels.json")
