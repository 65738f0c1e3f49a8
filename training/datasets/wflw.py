"""WFLW: 98 points and six attributes over photos of WIDER FACE, in the layout that its authors publish.

``ROOT/WFLW_images/<event>/<photo>.jpg`` and ``ROOT/WFLW_annotations/list_98pt_rect_attr_train_test/
list_98pt_rect_attr_{train,test}.txt``. A line is a face, 207 values: x and y of 98 points, the detection rectangle
(left, top, right, bottom), six flags (pose, expression, illumination, make-up, occlusion, blur; 1: large, exaggerated,
extreme ...), the image's path below ``WFLW_images``. The authors don't say where pixels are counted from; the
coordinates are taken as 0-based. https://wywu.github.io/projects/LAB/WFLW.html
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from models.errors import FewmarkError
from models.landmark_schemes import WFLW_98
from tracker.types import FaceBox
from training.datasets.base import DatasetReport, FaceSample, Split, find_below, reading
from training.datasets.dataset import Dataset

ATTRIBUTES = ("pose", "expression", "illumination", "make-up", "occlusion", "blur")  # in the order of the file
_COORDINATES = 2 * WFLW_98.num_points
_VALUES = _COORDINATES + 4 + len(ATTRIBUTES) + 1
_LIST = "list_98pt_rect_attr_train_test/list_98pt_rect_attr_{}.txt"


def read_wflw(root: Path, split: Split) -> DatasetReport:
    """The faces of the list files; a face's attributes are the flags that are set.

    Raises:
        FewmarkError: a list file or the image folder is missing or unreadable.
    """
    images = find_below(root, ("WFLW_images", "images"), "images of WFLW")
    report = DatasetReport()
    for part in ("train", "test") if split == "all" else (split,):
        name = _LIST.format(part)
        path = find_below(root, (f"WFLW_annotations/{name}", name), f"{part} list of WFLW")
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise FewmarkError(f"{path}: can't be read ({error}); obtain it again") from error
        for number, line in enumerate(reading(lines, f"WFLW {part}"), start=1):
            where = f"{path.name}, line {number}"
            if not line.strip():
                continue
            try:
                report.add(_face(line.split(), images, part), where)
            except ValueError as error:
                report.skipped.append(f"{where}: {error}")
    return report


def _face(values: list[str], images: Path, part: str) -> FaceSample:
    """The face of one line. ValueError: it is not of the form that it should have."""
    if len(values) != _VALUES:
        raise ValueError(f"{_VALUES} values expected, found {len(values)}")
    numbers = np.array(values[:-1], dtype=np.float32)
    attributes = tuple(name for name, flag in zip(ATTRIBUTES, numbers[-len(ATTRIBUTES) :], strict=True) if flag)
    return FaceSample(
        image_path=images / values[-1],
        points=numbers[:_COORDINATES].reshape(-1, 2),
        visible=np.ones(WFLW_98.num_points, bool),
        scheme=WFLW_98,
        subset=part,
        group=values[-1],
        attributes=attributes,
        box=FaceBox(numbers[_COORDINATES : _COORDINATES + 4], score=1.0),
    )


WFLW = Dataset(
    name="wflw",
    summary="WFLW: 98 points, 7,500 training and 2,500 test faces, six test subsets by difficulty",
    reader=read_wflw,
    scheme=WFLW_98,
    normaliser="outer-eyes",
    subsets={"full": ("test",), **{name: (name,) for name in ATTRIBUTES}},
)
