"""AFLW2000-3D: 68 points of a fitted 3D face, projected, on the first 2,000 faces of AFLW. A test set.

``ROOT/image<number>.jpg`` with ``image<number>.mat`` beside it (MATLAB 5): ``pt3d_68`` (3, 68), of which the first two
rows are pixels, counted from 1 as the demo in the archive draws them; ``Pose_Para`` (1, 7): pitch, yaw and roll in
radians, then translation and scale.
http://www.cbsr.ia.ac.cn/users/xiangyuzhu/projects/3DDFA/main.htm
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from models.errors import FewmarkError
from models.landmark_schemes import PROJECTED_68
from training.datasets.base import DatasetReport, FaceSample, Split, reading
from training.datasets.dataset import Dataset
from training.datasets.mat_files import load_mat, require_scipy

YAW_RANGES = {"yaw-0-30": 30.0, "yaw-30-60": 60.0, "yaw-60-90": 90.0}  # attribute -> largest absolute yaw, degrees


def read_aflw2000(root: Path, split: Split) -> DatasetReport:
    """All faces; the attribute is the range of yaw by which papers split the set.

    Raises:
        FewmarkError: none is there, SciPy is missing, or training faces are asked for.
    """
    if split == "train":
        raise FewmarkError(f"{root}: AFLW2000-3D is a test set; train on another, such as 300w-lp")
    files = sorted(root.glob("image*.mat"))
    if not files:
        raise FewmarkError(f"{root}: no image*.mat of AFLW2000-3D here; pass the folder that holds them")
    require_scipy()
    report = DatasetReport()
    for file in reading(files, "AFLW2000-3D"):
        try:
            fields = load_mat(file, ("pt3d_68", "Pose_Para"))
            points = np.asarray(fields["pt3d_68"], dtype=np.float32)[:2].T - 1
            yaw = math.degrees(float(np.asarray(fields["Pose_Para"]).reshape(-1)[1]))
        except FewmarkError as error:
            report.skipped.append(str(error))
            continue
        except (ValueError, TypeError, IndexError) as error:
            report.skipped.append(f"{file}: not of the form that its authors published ({error})")
            continue
        sample = FaceSample(
            image_path=file.with_suffix(".jpg"),
            points=points,
            visible=np.ones(len(points), bool),
            scheme=PROJECTED_68,
            subset="test",
            group=file.stem,
            attributes=tuple(name for name, largest in YAW_RANGES.items() if abs(yaw) <= largest)[:1],
        )
        report.add(sample, str(file))
    return report


AFLW2000 = Dataset(
    name="aflw2000-3d",
    summary="AFLW2000-3D: 68 projected 3D points, 2,000 test faces by yaw",
    reader=read_aflw2000,
    scheme=PROJECTED_68,
    normaliser="box-geometric-mean",
    subsets={name: (name,) for name in YAW_RANGES},
)
