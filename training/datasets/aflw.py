"""AFLW: up to 21 points on faces in every pose, from Flickr, in the layout that its authors publish.

``ROOT/data/aflw.sqlite`` and the photos in ``ROOT/data/flickr/{0,2,3}``. The database: ``Faces`` (face_id, file_id),
``FaceImages`` (file_id, filepath), ``FaceRect`` (face_id, x, y, w, h: a square, may reach out of the
photo), ``FeatureCoords`` (face_id, feature_id, x, y; a row for each landmark that can be seen), ``FeatureCoordTypes``
(feature_id, descr: "LeftBrowLeftCorner" ...). https://www.tugraz.at/institute/icg/research/team-bischof/lrs/downloads/aflw

Papers measure on the revision of Zhu et al. (CVPR 2016): 19 points (no ears), those that can't be seen labelled by
hand as well, and a split. It is one more file in ROOT, ``AFLWinfo_release.mat``: ``nameList`` (N cells, "0/image.jpg"),
``bbox`` (N, 4: left, right, top, bottom), ``data`` (N, 38: x of 19 points, then y), ``mask_new`` (N, 19: 1 where the
point can be seen), ``ra`` (N: a permutation counted from 1, whose first 20,000 are for training). Where the file is,
"aflw" reads it; else it reads the database, which has no test split.
http://mmlab.ie.cuhk.edu.hk/projects/compositional.html
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np

from models.errors import FewmarkError
from models.landmark_schemes import AFLW_19, AFLW_21, LandmarkScheme
from tracker.types import FaceBox, FloatArray
from training.datasets.base import DatasetReport, FaceSample, Split, find_below, labelled, reading
from training.datasets.dataset import Dataset
from training.datasets.mat_files import load_mat

FRONTAL = "frontal"  # attribute: every landmark can be seen
REVISION = "AFLWinfo_release.mat"
TRAINING_FACES = 20_000  # of the revision
_DATABASES = ("data/aflw.sqlite", "aflw.sqlite")
_IMAGE_FOLDERS = ("data/flickr", "flickr", "images")
_FACES = """
    SELECT Faces.face_id, filepath, x, y, w, h
    FROM Faces JOIN FaceImages USING (file_id) LEFT JOIN FaceRect USING (face_id)
    GROUP BY Faces.face_id ORDER BY Faces.face_id
"""
_POINTS = """
    SELECT face_id, descr, FeatureCoords.x, FeatureCoords.y
    FROM FeatureCoords JOIN FeatureCoordTypes USING (feature_id)
"""


def read_aflw(root: Path, split: Split) -> DatasetReport:
    """19 points: of the revision where it is, else of the database.

    Raises:
        FewmarkError: neither is there, or a test split is asked of the database.
    """
    return read_revision(root, split) if (root / REVISION).is_file() else read_database(root, split, AFLW_19)


def read_database(root: Path, split: Split, scheme: LandmarkScheme) -> DatasetReport:
    """All faces of the database; what it has no coordinates for is not visible.

    Args:
        scheme: AFLW_19 or AFLW_21.

    Raises:
        FewmarkError: there is no database, or it is damaged; a test split is asked for.
    """
    if split == "test":
        raise FewmarkError(f"{root}: AFLW's database has no test split; put Zhu's {REVISION} here and use dataset aflw")
    database = find_below(root, _DATABASES, "database of AFLW")
    images = find_below(root, _IMAGE_FOLDERS, "images of AFLW")
    try:
        with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            faces = connection.execute(_FACES).fetchall()
            coordinates: dict[int, dict[str, tuple[float, float]]] = defaultdict(dict)
            for face_id, landmark, x, y in connection.execute(_POINTS):
                coordinates[face_id][landmark] = (x, y)
    except sqlite3.Error as error:
        raise FewmarkError(f"{database}: not AFLW's database ({error}); obtain it again") from error
    columns = [name.title().replace("_", "") for name in scheme.point_names]  # "left_ear" is its "LeftEar"
    report = DatasetReport()
    for face_id, file, x, y, w, h in reading(faces, "AFLW"):
        where = f"{database.name}, face {face_id} ({file})"
        seen = coordinates[face_id]
        try:
            points = np.array([seen.get(name, (np.nan, np.nan)) for name in columns], dtype=np.float32)
            box = None if w is None else _box(x, x + w, y, y + h)
        except (TypeError, ValueError) as error:
            report.skipped.append(f"{where}: a coordinate is no number ({error})")
            continue
        visible = labelled(points)
        frontal = (FRONTAL,) if visible.all() else ()
        sample = FaceSample(images / file, points, visible, scheme, "aflw", file, frontal, box)
        report.add(sample, where)
    return report


def read_revision(root: Path, split: Split) -> DatasetReport:
    """The faces of ``AFLWinfo_release.mat``; every landmark is labelled, those that can't be seen are ``occluded``.

    Raises:
        FewmarkError: the file is unreadable or of another form, or the images are missing.
    """
    path = root / REVISION
    images = find_below(root, _IMAGE_FOLDERS, "images of AFLW")
    fields = load_mat(path, ("nameList", "bbox", "data", "mask_new", "ra"))
    try:
        order = np.asarray(fields["ra"], dtype=np.int64).reshape(-1) - 1
        count = len(order)
        names = [str(np.asarray(cell).reshape(-1)[0]) for cell in fields["nameList"].reshape(count)]
        points = np.asarray(fields["data"], dtype=np.float32).reshape(count, 2, AFLW_19.num_points).swapaxes(1, 2)
        seen = np.asarray(fields["mask_new"]).reshape(count, AFLW_19.num_points) > 0
        boxes = np.asarray(fields["bbox"], dtype=np.float32).reshape(count, 4)
    except (ValueError, TypeError, IndexError) as error:
        raise FewmarkError(f"{path}: not of the form that Zhu et al. published ({error}); obtain it again") from error
    training = min(TRAINING_FACES, count)
    chosen = {"train": order[:training], "test": order[training:], "all": order}[split]
    test = set(order[training:].tolist())
    report = DatasetReport()
    for i in reading(chosen.tolist(), "AFLW"):
        sample = FaceSample(
            image_path=images / names[i],
            points=points[i],
            visible=np.ones(AFLW_19.num_points, bool),
            scheme=AFLW_19,
            subset="test" if i in test else "train",
            group=names[i],
            attributes=(FRONTAL,) if seen[i].all() else (),
            box=_box(*boxes[i]),
            occluded=~seen[i],
        )
        report.add(sample, f"{REVISION}, face {i + 1} ({names[i]})")
    return report


def _box(left: float, right: float, top: float, bottom: float) -> FaceBox:
    xyxy: FloatArray = np.array([left, top, right, bottom], dtype=np.float32)
    return FaceBox(xyxy, score=1.0)


AFLW = Dataset(
    name="aflw",
    summary="AFLW: 19 points, 20,000 training and 4,386 test faces in every pose",
    reader=read_aflw,
    scheme=AFLW_19,
    normaliser="box-width",
    subsets={"full": ("test",), FRONTAL: (FRONTAL,)},
)
AFLW_WITH_EARS = Dataset(
    name="aflw-21",
    summary="AFLW: all 21 points of the database, ears too; no test split",
    reader=partial(read_database, scheme=AFLW_21),
    scheme=AFLW_21,
    normaliser="box-width",
)
