"""The WFLW reader, on list files in the published form."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.errors import FewmarkError
from models.landmark_schemes import WFLW_98
from training.datasets import DATASETS
from training.datasets.wflw import ATTRIBUTES

WFLW = DATASETS["wflw"]
POINTS = np.random.default_rng(0).uniform(5, 95, (98, 2)).round(6)


def line(image: str, flags: str = "000000", points: np.ndarray = POINTS) -> str:
    coordinates = " ".join(f"{value:.6f}" for value in points.reshape(-1))
    return f"{coordinates} 4 6 90 96 {' '.join(flags)} {image}\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("0--Parade/0_Parade_1.jpg", "37--Soccer/37_Soccer_2.jpg"):
        path = tmp_path / "WFLW_images" / name
        path.parent.mkdir(parents=True)
        Image.new("RGB", (100, 110)).save(path)
    lists = tmp_path / "WFLW_annotations/list_98pt_rect_attr_train_test"
    lists.mkdir(parents=True)
    parade, soccer = "0--Parade/0_Parade_1.jpg", "37--Soccer/37_Soccer_2.jpg"
    (lists / "list_98pt_rect_attr_train.txt").write_text(line(parade) + line(soccer, "100000") + line(parade, "000011"))
    (lists / "list_98pt_rect_attr_test.txt").write_text(line(soccer, "100100") + line(soccer))
    return tmp_path


def test_a_line_is_a_face(tree: Path) -> None:
    report = WFLW.read(tree, "train")
    assert report.skipped == []
    first, second, third = report.samples
    assert first.image_path == tree / "WFLW_images/0--Parade/0_Parade_1.jpg"
    assert first.load_image().shape == (110, 100, 3)
    assert first.scheme is WFLW_98
    assert first.visible.all()
    np.testing.assert_allclose(first.points, POINTS, atol=1e-4)
    assert first.box is not None
    assert first.box.xyxy.tolist() == [4, 6, 90, 96]
    assert [s.attributes for s in report.samples] == [(), ("pose",), ("occlusion", "blur")]
    assert first.group == third.group != second.group


@pytest.mark.parametrize(
    ("split", "faces"), [("train", 3), ("test", 2), ("all", 5), ("full", 2), ("pose", 1), ("make-up", 1)]
)
def test_splits_and_attribute_subsets(tree: Path, split: str, faces: int) -> None:
    assert len(WFLW.read(tree, split).samples) == faces


def test_every_attribute_is_a_test_subset(tree: Path) -> None:
    assert set(ATTRIBUTES) | {"full"} == set(WFLW.subsets)
    subsets = Counter(name for sample in WFLW.read(tree, "test").samples for name in WFLW.subsets_of(sample))
    assert subsets == {"full": 2, "pose": 1, "make-up": 1}
    with pytest.raises(FewmarkError, match="no blur face of wflw"):
        WFLW.read(tree, "blur")


def test_bad_lines_are_skipped_and_named(tree: Path) -> None:
    path = tree / "WFLW_annotations/list_98pt_rect_attr_train_test/list_98pt_rect_attr_train.txt"
    nan = POINTS.copy()
    nan[3, 0] = np.nan
    bad = [
        line("0--Parade/0_Parade_1.jpg").replace(" 4 6 90 96", " 4 6 90"),
        line("0--Parade/0_Parade_1.jpg").replace(" 4 6 90 96", " 4 6 90 left"),
        line("missing.jpg"),
        line("0--Parade/0_Parade_1.jpg", points=nan),
        line("0--Parade/0_Parade_1.jpg", points=POINTS * 10),
    ]
    path.write_text("".join(bad) + "\n" + line("0--Parade/0_Parade_1.jpg"))
    report = WFLW.read(tree, "train")
    assert len(report.samples) == 1
    reasons = (
        "207 values expected, found 206",
        "could not convert",
        "no such image",
        "not finite",
        "outside the image",
    )
    for number, (said, reason) in enumerate(zip(report.skipped, reasons, strict=True), start=1):
        assert said.startswith(f"list_98pt_rect_attr_train.txt, line {number}: ")
        assert reason in said


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(FewmarkError, match=r"no images of WFLW here \(looked for WFLW_images"):
        WFLW.read(tmp_path)
    (tmp_path / "WFLW_images").mkdir()
    with pytest.raises(FewmarkError, match="no test list of WFLW"):
        WFLW.read(tmp_path, "test")
