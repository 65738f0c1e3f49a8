"""The reader of dlib's XML, on files as dlib and imglab write them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.errors import FewmarkError
from models.landmark_schemes import IBUG_68, scheme_from_names
from training.datasets import DATASETS, split_validation

XML = DATASETS["dlib-xml"]
POINTS = np.random.default_rng(0).integers(10, 90, (68, 2))
HEAD = (
    "<?xml version='1.0' encoding='ISO-8859-1'?>\n"
    "<?xml-stylesheet type='text/xsl' href='image_metadata_stylesheet.xsl'?>"
)


def box(points: dict[str, tuple[object, object]], extra: str = "") -> str:
    parts = "".join(f"<part name='{name}' x='{x}' y='{y}'/>\n" for name, (x, y) in points.items())
    return f"<box top='12' left='8' width='80' height='84'{extra}>\n{parts}</box>\n"


def image(file: str, *boxes: str) -> str:
    return f"<image file='{file}' width='100' height='100'>\n{''.join(boxes)}</image>\n"


def write_xml(path: Path, *images: str) -> None:
    path.write_text(f"{HEAD}\n<dataset>\n<name>faces</name>\n<images>\n{''.join(images)}</images>\n</dataset>\n")


FACE_68 = {f"{i:02d}": (x, y) for i, (x, y) in enumerate(POINTS.tolist())}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("afw/1_1", "afw/1_2", "afw/1_2_mirror", "afw/2_1", "helen/testset/5_1"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (100, 100)).save(tmp_path / f"{name}.jpg")
    train = [image(f"afw/{name}.jpg", box(FACE_68)) for name in ("1_1", "1_2", "1_2_mirror", "2_1")]
    test = [image("helen\\testset\\5_1.jpg", box(FACE_68))]
    write_xml(tmp_path / "labels_ibug_300W_train.xml", *train)
    write_xml(tmp_path / "labels_ibug_300W_test.xml", *test)
    write_xml(tmp_path / "labels_ibug_300W.xml", *train, *test)
    return tmp_path


def test_dlibs_copy_of_300w(tree: Path) -> None:
    report = XML.read(tree)
    assert report.skipped == []
    first = report.samples[0]
    assert first.scheme is IBUG_68
    np.testing.assert_array_equal(first.points, POINTS)
    assert first.visible.all()
    assert first.box is not None
    assert first.box.xyxy.tolist() == [8, 12, 88, 96]
    assert first.subset == "afw"
    assert first.load_image().shape == (100, 100, 3)
    assert XML.read(tree, "test").samples[0].subset == "helen/testset"
    assert len(XML.read(tree, "all").samples) == 5
    assert len(XML.read(tree / "labels_ibug_300W_train.xml").samples) == 4


def test_a_mirrored_copy_stays_with_its_photo(tree: Path) -> None:
    train, validation = split_validation(XML.read(tree).samples, 0.5)
    assert [s.image_path.stem for s in train] == ["1_1", "1_2", "1_2_mirror"]
    assert [s.image_path.stem for s in validation] == ["2_1"]


def test_named_parts_make_a_scheme_of_their_own(tmp_path: Path) -> None:
    Image.new("RGB", (100, 100)).save(tmp_path / "a.png")
    eyes = {"left_eye": (20, 30), "right_eye": (60, 30)}
    write_xml(tmp_path / "mine.xml", image("a.png", box({**eyes, "nose": (40, 50)}), box(eyes)))
    both, without_nose = XML.read(tmp_path).samples
    assert both.scheme.point_names == ("left_eye", "right_eye", "nose")
    assert both.scheme.mirror_pairs == ((0, 1),)
    assert both.scheme.level_points == ((0,), (1,))
    assert without_nose.visible.tolist() == [True, True, False]
    assert without_nose.points.tolist() == [[20, 30], [60, 30], [40, 50]]  # the estimate, by the other face
    assert both.group == without_nose.group
    assert both.subset == ""


def test_numbered_parts_are_sorted_by_number(tmp_path: Path) -> None:
    Image.new("RGB", (100, 100)).save(tmp_path / "a.png")
    write_xml(tmp_path / "five.xml", image("a.png", box({"10": (50, 10), "2": (30, 20), "1": (10, 30)})))
    (sample,) = XML.read(tmp_path).samples
    assert sample.scheme.point_names == ("point_1", "point_2", "point_10")
    assert sample.points.tolist() == [[10, 30], [30, 20], [50, 10]]
    assert sample.scheme.mirror_pairs == ()


def test_a_scheme_file_beside_it_counts(tmp_path: Path) -> None:
    Image.new("RGB", (100, 100)).save(tmp_path / "a.png")
    write_xml(tmp_path / "two.xml", image("a.png", box({"0": (10, 20), "1": (40, 20)})))
    scheme = scheme_from_names("eyes", ["left_eye", "right_eye"])
    (tmp_path / "two.scheme.json").write_text(json.dumps(scheme.to_dict()))
    assert XML.read(tmp_path).samples[0].scheme == scheme
    (tmp_path / "two.scheme.json").write_text(json.dumps(IBUG_68.to_dict()))
    with pytest.raises(FewmarkError, match=r"two\.scheme\.json: 68 points, but two\.xml has 2"):
        XML.read(tmp_path)
    (tmp_path / "two.scheme.json").write_text("[]")
    with pytest.raises(FewmarkError, match="not a readable landmark scheme"):
        XML.read(tmp_path)


def test_bad_boxes_are_skipped_and_named(tree: Path) -> None:
    bad = [
        image("afw/1_1.jpg", box(FACE_68).replace(" width='80'", "")),
        image("afw/1_2.jpg", box({**FACE_68, "05": ("left", 3)})),
        image("afw/9_9.jpg", box(FACE_68)),
        image("afw/2_1.jpg", box(FACE_68, " ignore='1'"), box({})),
        image("afw/1_1.jpg", box({**FACE_68, "67": (9000, 3)})),
        image("afw/1_1.jpg", box(FACE_68)),
    ]
    path = tree / "labels_ibug_300W_train.xml"
    write_xml(path, *bad)
    report = XML.read(tree)
    assert len(report.samples) == 1
    reasons = ("missing or no number", "no number", "no such image", "no landmark is labelled", "outside the image")
    for said, reason in zip(report.skipped, reasons, strict=True):
        assert said.startswith("labels_ibug_300W_train.xml, afw/")
        assert reason in said
    assert "afw/2_1.jpg, box 2" in report.skipped[3]


def test_what_is_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(FewmarkError, match=r"no \.xml file here"):
        XML.read(tmp_path)
    path = tmp_path / "broken.xml"
    path.write_text("<dataset><images>")
    with pytest.raises(FewmarkError, match="not a readable XML file"):
        XML.read(path)
    path.write_text("<html><body>404</body></html>")
    with pytest.raises(FewmarkError, match="no image with landmarks"):
        XML.read(path)
