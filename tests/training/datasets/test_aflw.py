"""The AFLW reader, on a database with the published tables and on a MATLAB file of Zhu's revision."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image

from models.errors import FewmarkError
from models.landmark_schemes import AFLW_19, AFLW_21
from training.datasets import DATASETS, FaceSample, aflw

AFLW, AFLW_WITH_EARS = DATASETS["aflw"], DATASETS["aflw-21"]
# fmt: off
COLUMNS = [  # feature_id 1 to 21
    "LeftBrowLeftCorner", "LeftBrowCenter", "LeftBrowRightCorner", "RightBrowLeftCorner", "RightBrowCenter",
    "RightBrowRightCorner", "LeftEyeLeftCorner", "LeftEyeCenter", "LeftEyeRightCorner", "RightEyeLeftCorner",
    "RightEyeCenter", "RightEyeRightCorner", "LeftEar", "NoseLeft", "NoseCenter", "NoseRight", "RightEar",
    "MouthLeftCorner", "MouthCenter", "MouthRightCorner", "ChinCenter",
]
# fmt: on
TABLES = """
    CREATE TABLE Faces (face_id INTEGER PRIMARY KEY, file_id TEXT, db_id TEXT);
    CREATE TABLE FaceImages (image_id INTEGER PRIMARY KEY, db_id TEXT, file_id TEXT, filepath TEXT, bw INTEGER,
                             width INTEGER, height INTEGER);
    CREATE TABLE FaceRect (face_id INTEGER, x INTEGER, y INTEGER, w INTEGER, h INTEGER, annot_type_id INTEGER);
    CREATE TABLE FeatureCoords (face_id INTEGER, feature_id INTEGER, x REAL, y REAL, annot_type_id INTEGER);
    CREATE TABLE FeatureCoordTypes (feature_id INTEGER, descr TEXT, code TEXT, x REAL, y REAL, z REAL);
"""
PHOTOS = ("0/image00002.jpg", "2/image00013.jpg", "3/image00035.jpg")
FACE = np.random.default_rng(0).uniform(10, 90, (21, 2)).round(3)
WITHOUT_EARS = np.delete(FACE, (12, 16), axis=0)


def write_images(root: Path) -> None:
    for name in PHOTOS:
        path = root / "data/flickr" / name
        path.parent.mkdir(parents=True)
        Image.new("RGB", (120, 100)).save(path)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Photo 1 shows two faces; the ears and the left eye of face 3 can't be seen."""
    write_images(tmp_path)
    with closing(sqlite3.connect(tmp_path / "data/aflw.sqlite")) as connection, connection:
        connection.executescript(TABLES)
        types = [(i, name, "", 0, 0, 0) for i, name in enumerate(COLUMNS, start=1)]
        connection.executemany("INSERT INTO FeatureCoordTypes VALUES (?,?,?,?,?,?)", types)
        for number, (face, photo) in enumerate(((39341, 0), (39342, 0), (39343, 1), (39344, 2))):
            file_id = Path(PHOTOS[photo]).name
            connection.execute("INSERT INTO Faces VALUES (?,?,'aflw')", (face, file_id))
            hidden = (7, 8, 9, 13, 17) if face == 39343 else ()
            rows = [(face, i + 1, x + number, y, 1) for i, (x, y) in enumerate(FACE.tolist()) if i + 1 not in hidden]
            connection.executemany("INSERT INTO FeatureCoords VALUES (?,?,?,?,?)", rows)
            if face != 39344:
                connection.execute("INSERT INTO FaceRect VALUES (?,?,?,?,?,1)", (face, 8, -4, 90, 90))
        for number, photo in enumerate(PHOTOS):
            row = (number, Path(photo).name, photo)
            connection.execute("INSERT INTO FaceImages VALUES (?,'aflw',?,?,0,120,100)", row)
        connection.commit()
        yield connection
        connection.commit()


def by_landmark(sample: FaceSample) -> dict[str, tuple[float, float]]:
    return dict(zip(sample.scheme.point_names, map(tuple, sample.points.tolist()), strict=True))


def test_the_database_without_ears(database: sqlite3.Connection, tmp_path: Path) -> None:
    report = AFLW.read(tmp_path)
    assert report.skipped == []
    first, second, third, fourth = report.samples
    assert first.scheme is AFLW_19
    assert first.image_path == tmp_path / "data/flickr/0/image00002.jpg"
    assert first.load_image().shape == (100, 120, 3)
    np.testing.assert_allclose(first.points, WITHOUT_EARS, atol=1e-4)
    np.testing.assert_allclose(second.points[:, 0], first.points[:, 0] + 1, atol=1e-4)
    assert first.group == second.group != third.group
    assert first.box is not None
    assert first.box.xyxy.tolist() == [8, -4, 98, 86]
    assert fourth.box is None
    hidden = [name for name, seen in zip(AFLW_19.point_names, third.visible, strict=True) if not seen]
    assert hidden == ["left_eye_left_corner", "left_eye_center", "left_eye_right_corner"]
    assert [s.attributes for s in report.samples] == [("frontal",), ("frontal",), (), ("frontal",)]


def test_the_database_with_ears(database: sqlite3.Connection, tmp_path: Path) -> None:
    report = AFLW_WITH_EARS.read(tmp_path, "all")
    assert report.samples[0].scheme is AFLW_21
    np.testing.assert_allclose(report.samples[0].points, FACE, atol=1e-4)
    names = dict(zip(COLUMNS, AFLW_21.point_names, strict=True))
    assert by_landmark(report.samples[0])[names["LeftEar"]] == pytest.approx(tuple(FACE[12]), abs=1e-4)
    assert report.samples[2].visible.sum() == 16


def test_hidden_landmarks_are_estimated_from_the_mean_face(database: sqlite3.Connection, tmp_path: Path) -> None:
    third = AFLW.read(tmp_path).samples[2]
    assert np.isfinite(third.points).all()
    # All faces of the tree have one shape: the estimate is what was left out, two pixels to the right.
    np.testing.assert_allclose(third.points, WITHOUT_EARS + np.array([2, 0]), atol=1e-3)


def test_bad_faces_are_skipped_and_named(database: sqlite3.Connection, tmp_path: Path) -> None:
    database.execute("UPDATE FeatureCoords SET x = 4000 WHERE face_id = 39342 AND feature_id = 21")
    database.execute("DELETE FROM FeatureCoords WHERE face_id = 39343")
    database.execute("UPDATE FeatureCoords SET y = 'low' WHERE face_id = 39344 AND feature_id = 2")
    database.commit()
    report = AFLW.read(tmp_path)
    assert len(report.samples) == 1
    reasons = ("outside the image", "no landmark is labelled", "no number")
    for said, face, reason in zip(report.skipped, (39342, 39343, 39344), reasons, strict=True):
        assert said.startswith(f"aflw.sqlite, face {face}")
        assert reason in said


def test_a_database_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(FewmarkError, match="no database of AFLW here"):
        AFLW.read(tmp_path)
    write_images(tmp_path)
    (tmp_path / "data/aflw.sqlite").write_text("hello, this is a text and not a database at all" * 40)
    with pytest.raises(FewmarkError, match="not AFLW's database"):
        AFLW.read(tmp_path)
    (tmp_path / "data/aflw.sqlite").unlink()
    with closing(sqlite3.connect(tmp_path / "data/aflw.sqlite")) as connection:
        connection.execute("CREATE TABLE Faces (face_id INTEGER)")
    with pytest.raises(FewmarkError, match="not AFLW's database"):
        AFLW.read(tmp_path)


def test_the_database_has_no_test_split(database: sqlite3.Connection, tmp_path: Path) -> None:
    with pytest.raises(FewmarkError, match="no test split"):
        AFLW.read(tmp_path, "test")


def write_revision(root: Path, **changes: object) -> None:
    seen = np.ones((3, 19))
    seen[1, 4] = 0
    names = np.empty((3, 1), object)
    names[:, 0] = PHOTOS
    fields = {
        "nameList": names,
        "bbox": np.tile((5.0, 95.0, 6.0, 96.0), (3, 1)),
        "data": np.stack([np.concatenate([WITHOUT_EARS[:, 0] + i, WITHOUT_EARS[:, 1]]) for i in range(3)]),
        "mask_new": seen,
        "ra": np.array([[3, 1, 2]]),
    }
    scipy.io.savemat(root / "AFLWinfo_release.mat", fields | changes)


@pytest.fixture
def revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_images(tmp_path)
    write_revision(tmp_path)
    monkeypatch.setattr(aflw, "TRAINING_FACES", 2)  # of three
    return tmp_path


def test_the_revision_has_the_papers_split(revision: Path) -> None:
    train, test = AFLW.read(revision, "train").samples, AFLW.read(revision, "test").samples
    assert [s.group for s in train] == [PHOTOS[2], PHOTOS[0]]  # in the order of its permutation
    assert [s.group for s in test] == [PHOTOS[1]]
    assert [s.subset for s in AFLW.read(revision, "all").samples] == ["train", "train", "test"]
    assert train[0].box is not None
    assert train[0].box.xyxy.tolist() == [5, 6, 95, 96]
    np.testing.assert_allclose(train[0].points, WITHOUT_EARS + np.array([2, 0]), atol=1e-4)


def test_in_the_revision_hidden_landmarks_are_labelled(revision: Path) -> None:
    (hidden,) = AFLW.read(revision, "full").samples
    assert hidden.visible.all()
    assert hidden.occluded is not None
    assert np.flatnonzero(hidden.occluded).tolist() == [4]
    with pytest.raises(FewmarkError, match="no frontal face of aflw"):
        AFLW.read(revision, "frontal")


def test_a_damaged_revision(revision: Path) -> None:
    write_revision(revision, data=np.ones((3, 20)))
    with pytest.raises(FewmarkError, match=r"AFLWinfo_release\.mat: not of the form"):
        AFLW.read(revision)
    scipy.io.savemat(revision / "AFLWinfo_release.mat", {"data": np.ones(3)})
    with pytest.raises(FewmarkError, match="no variable 'nameList'"):
        AFLW.read(revision)
    (revision / "AFLWinfo_release.mat").write_bytes(b"no MATLAB file")
    with pytest.raises(FewmarkError, match=r"not a readable \.mat file"):
        AFLW.read(revision)
