from __future__ import annotations

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from models.errors import FewmarkError
from models.landmark_schemes import IBUG_68, scheme_from_names
from tracker.files.label_file import LABEL_SUFFIX, LabelFile, LabelledFace, read_label_file, write_label_file

SCHEME = scheme_from_names("mine", ["left_eye", "right_eye", "nose"], source="me")
POINTS = np.array([[1.5, 2.25], [np.nan, np.nan], [3, 4]], np.float32)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    arrays.arrays(np.float32, (3, 2), elements=st.floats(-5000, 5000, width=32)),
    st.sets(st.integers(0, 2)),
    st.text(min_size=1, max_size=20).filter(lambda name: not set(name) & set("/\\:\0") and name.strip(". ")),
    st.text(max_size=10),
    st.sampled_from(["train", "test"]),
)
def test_labels_survive_the_file(
    tmp_path: Path, points: np.ndarray, hidden: set[int], image: str, group: str, split: str
) -> None:
    points[sorted(hidden)] = np.nan
    path = tmp_path / f"a{LABEL_SUFFIX}"
    face = LabelledFace(tmp_path / "photos" / image, points, split, "indoors", group)
    write_label_file(path, LabelFile(SCHEME, (face, face)))
    read = read_label_file(path)
    assert read.scheme == SCHEME
    assert read.unreadable == ()
    assert len(read.faces) == 2
    again = read.faces[0]
    np.testing.assert_allclose(again.points, points, atol=1e-3)
    assert (again.image_path, again.split, again.subset, again.group) == (face.image_path, split, "indoors", group)


def test_the_file_is_meant_to_be_read(tmp_path: Path) -> None:
    path = tmp_path / "set/a.labels.json"
    path.parent.mkdir()
    points = np.zeros((68, 2), np.float32)
    faces = (LabelledFace(tmp_path / "photos/b.jpg", points), LabelledFace(tmp_path / "set/c.jpg", points + 0.1234))
    write_label_file(path, LabelFile(IBUG_68, faces))
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[3] == '  "scheme": "300w-68",'
    assert lines[5].startswith('    {"image": "../photos/b.jpg", "points": [[0.0, 0.0], ')
    assert lines[6].startswith('    {"image": "c.jpg", "points": [[0.123, 0.123], ')
    assert len(lines) == 9
    assert json.loads(path.read_text())["version"] == 1


def test_folder_and_labels_move_together(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    labels = LabelFile(SCHEME, (LabelledFace(tmp_path / "here/a.jpg", POINTS),))
    write_label_file(tmp_path / "here/a.labels.json", labels)
    (tmp_path / "here").rename(tmp_path / "there")
    assert read_label_file(tmp_path / "there/a.labels.json").faces[0].image_path == tmp_path / "there/a.jpg"


def test_a_bad_face_is_named_and_the_others_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.labels.json"
    good = {"image": "a.jpg", "points": [[1, 2], None, [3, 4]]}
    bad = [
        7,
        {"points": good["points"]},
        {**good, "image": ""},
        {**good, "split": "validation"},
        {**good, "points": [[1, 2]]},
        {**good, "points": None},
        {**good, "points": [[1, 2], None, [3, "four"]]},
        {**good, "points": [[1, 2], None, [True, 1]]},
        {**good, "points": [[1, 2], None, [3, math.nan]]},
    ]
    content = {"format": "fewmark-labels", "version": 1, "scheme": SCHEME.to_dict(), "faces": [*bad, good]}
    path.write_text(json.dumps(content))
    read = read_label_file(path)
    assert len(read.faces) == 1
    np.testing.assert_array_equal(read.faces[0].points, [[1, 2], [np.nan, np.nan], [3, 4]])
    reasons = (
        "not an object", "'image' is missing", "should be texts", "neither train nor test",
        "3 landmarks expected, found 1", "3 landmarks expected, found None", "landmark [3, 'four']",
        "landmark [True, 1]", "landmark [3, nan] is not finite; null says",
    )  # fmt: skip
    for number, (said, reason) in enumerate(zip(read.unreadable, reasons, strict=True), start=1):
        assert said.startswith(f"face {number}: ")
        assert reason in said


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "not a readable label file"),
        ("[]", "no label file of Fewmark"),
        ('{"format": "fewmark-run"}', "no label file of Fewmark"),
        ('{"format": "fewmark-labels", "version": "1", "faces": []}', "a number and a list"),
        ('{"format": "fewmark-labels", "version": 9, "faces": []}', "newer than this program"),
        ('{"format": "fewmark-labels", "version": 1, "faces": []}', "no landmark scheme"),
        ('{"format": "fewmark-labels", "version": 1, "faces": [], "scheme": "none"}', "'none' is unknown"),
        ('{"format": "fewmark-labels", "version": 1, "faces": [], "scheme": {"name": "x"}}', "not readable"),
    ],
)
def test_files_of_another_kind_are_refused(tmp_path: Path, content: str, problem: str) -> None:
    path = tmp_path / "a.labels.json"
    path.write_text(content)
    with pytest.raises(FewmarkError, match=problem) as raised:
        read_label_file(path)
    assert str(path) in str(raised.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FewmarkError, match="not a readable label file"):
        read_label_file(tmp_path / "a.labels.json")


def test_what_cannot_be_written_leaves_the_old_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.labels.json"
    write_label_file(path, LabelFile(SCHEME))
    before = path.read_bytes()
    with pytest.raises(FewmarkError, match=r"a\.jpg: 3 landmarks expected, found 2"):
        write_label_file(path, LabelFile(SCHEME, (LabelledFace(tmp_path / "a.jpg", POINTS[:2]),)))

    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(FewmarkError, match="No space left"):
        write_label_file(path, LabelFile(SCHEME, (LabelledFace(tmp_path / "a.jpg", POINTS),)))
    assert path.read_bytes() == before
