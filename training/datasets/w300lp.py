"""300-W-LP: faces of 300-W rendered into larger poses, with 68 points of a 3D face, projected. A training set.

``ROOT/{AFW,HELEN,IBUG,LFPW}/<name>.jpg`` and, for each, ``ROOT/landmarks/<same folder>/<name>_pts.mat`` (MATLAB 5):
``pts_3d`` and ``pts_2d`` (68, 2), pixels counted from 1. ``pts_3d`` is read: the points of the 3D face, where
``pts_2d`` has the jaw on the visible contour. (``pt2d`` in ``<name>.mat`` beside an image is that of the photo before
it was turned.) The folders ``*_Flip`` hold the same images mirrored, which augmentation does anyway: they are left out.
http://www.cbsr.ia.ac.cn/users/xiangyuzhu/projects/3DDFA/main.htm

It is made of all of 300-W, test sets included: a model trained on it can't be measured on 300-W.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from models.errors import FewmarkError
from models.landmark_schemes import PROJECTED_68
from training.datasets.base import DatasetReport, FaceSample, Split, reading
from training.datasets.dataset import Dataset
from training.datasets.mat_files import load_mat, require_scipy

SUBSETS = ("AFW", "HELEN", "IBUG", "LFPW")
_LABELS = "_pts.mat"


def read_w300lp(root: Path, split: Split) -> DatasetReport:
    """All faces, subset by subset in name order.

    Raises:
        FewmarkError: none is there, SciPy is missing, or test faces are asked for.
    """
    if split == "test":
        raise FewmarkError(f"{root}: 300-W-LP is a training set; test on another, such as aflw2000-3d")
    present = [subset for subset in SUBSETS if (root / "landmarks" / subset).is_dir()]
    if not present:
        raise FewmarkError(
            f"{root}: no labels of 300-W-LP here (looked for landmarks/{{{','.join(SUBSETS)}}}); "
            "pass the folder above landmarks"
        )
    require_scipy()
    report = DatasetReport()
    for subset in present:
        files = sorted((root / "landmarks" / subset).glob(f"*{_LABELS}"))
        for file in reading(files, f"300-W-LP {subset}"):
            try:
                points = np.asarray(load_mat(file, ("pts_3d",))["pts_3d"], dtype=np.float32) - 1
            except FewmarkError as error:
                report.skipped.append(str(error))
                continue
            except (ValueError, TypeError) as error:
                report.skipped.append(f"{file}: not of the form that its authors published ({error})")
                continue
            name = file.name.removesuffix(_LABELS)
            image = root / subset / f"{name}.jpg"
            visible = np.ones(len(points), bool)
            report.add(FaceSample(image, points, visible, PROJECTED_68, subset, _photo(subset, name)), str(file))
    return report


def _photo(subset: str, name: str) -> str:
    """``<photo>_<pose>``, in AFW ``<photo>_<face>_<pose>``: all poses and faces of a photo are one group."""
    return name.rsplit("_", 2 if subset == "AFW" else 1)[0]


W300LP = Dataset(
    name="300w-lp",
    summary="300-W-LP: 68 projected 3D points, 61,225 training faces turned into larger poses",
    reader=read_w300lp,
    scheme=PROJECTED_68,
    normaliser="box-geometric-mean",
)
