"""300-W: 68 points by iBUG over LFPW, Helen, AFW and iBUG, in the layout that its authors publish.

``ROOT/lfpw/{trainset,testset}``, ``ROOT/helen/{trainset,testset}``, ``ROOT/afw``, ``ROOT/ibug``; any of them may be
absent. ``name.pts`` lies beside ``name.jpg`` or ``name.png``. https://ibug.doc.ic.ac.uk/resources/300-W/
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from models.errors import FewmarkError
from models.landmark_schemes import IBUG_68
from tracker.types import FloatArray
from training.datasets.base import DatasetReport, FaceSample, Split, reading
from training.datasets.dataset import Dataset

TRAIN_SUBSETS = ("lfpw/trainset", "helen/trainset", "afw")
# The protocol of Ren et al., Face Alignment at 3000 FPS, CVPR 2014.
TEST_SUBSETS = {"common": ("lfpw/testset", "helen/testset"), "challenging": ("ibug",)}
IMAGE_SUFFIXES = (".jpg", ".png", ".jpeg")


def read_pts(path: Path, num_points: int = 68) -> FloatArray:
    """Points of a ``.pts`` file, with the header and braces that iBUG writes or as bare lines.

    The file's coordinates are 1-based: the centre of the top-left pixel is (1, 1) there and (0, 0) here.

    Returns:
        (num_points, 2) float32, pixels.

    Raises:
        FewmarkError: unreadable, a line that is no pair of numbers, or another number of points.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FewmarkError(f"{path}: can't be read ({error})") from error
    braces = re.search(r"\{(.*?)\}", text, re.DOTALL)
    body = braces.group(1) if braces else text
    lines = [line for line in map(str.strip, body.splitlines()) if line]
    if not braces:
        lines = [line for line in lines if not re.match(r"(version|n_points)\s*:", line)]
    try:
        points = np.array([[float(v) for v in re.split(r"[\s,]+", line)] for line in lines], dtype=np.float32)
    except ValueError as error:
        raise FewmarkError(f"{path}: not a list of points ({error})") from error
    if points.shape != (num_points, 2):
        raise FewmarkError(f"{path}: {num_points} points expected, found shape {points.shape}")
    if not np.isfinite(points).all():
        raise FewmarkError(f"{path}: a coordinate is not finite")
    return points - 1


def read_w300(root: Path, subsets: tuple[str, ...] = TRAIN_SUBSETS) -> DatasetReport:
    """All faces of the named subsets, in name order; bad samples are skipped and named.

    Raises:
        FewmarkError: none of the subsets is there.
    """
    report = DatasetReport()
    present = [s for s in subsets if (root / s).is_dir()]
    if not present:
        raise FewmarkError(
            f"{root}: no 300-W subset here (looked for {', '.join(subsets)}); pass the folder above them, or say with "
            "--dataset what else it is"
        )
    for subset in present:
        for pts in reading(sorted((root / subset).glob("*.pts")), subset):
            image = next((p for suffix in IMAGE_SUFFIXES if (p := pts.with_suffix(suffix)).is_file()), None)
            if image is None:
                report.skipped.append(f"{pts}: no image beside it")
                continue
            try:
                points = read_pts(pts)
            except FewmarkError as error:
                report.skipped.append(str(error))
                continue
            group = photo_group(subset, pts.stem)
            report.add(FaceSample(image, points, np.ones(len(points), bool), IBUG_68, subset, group), str(pts))
    return report


def photo_group(subset: str, stem: str) -> str:
    """What the faces of one photo share, by the name of a file of 300-W."""
    stem = stem.removesuffix("_mirror")  # as dlib's copy of 300-W calls the images that it flipped
    # AFW has one file a face, <photo>_<n>; elsewhere a photo holds one face.
    return f"{subset}/{stem.rsplit('_', 1)[0] if subset == 'afw' else stem}"


def _read_split(root: Path, split: Split) -> DatasetReport:
    test = tuple(subset for members in TEST_SUBSETS.values() for subset in members)
    return read_w300(root, {"train": TRAIN_SUBSETS, "test": test, "all": (*TRAIN_SUBSETS, *test)}[split])


W300 = Dataset(
    name="300w",
    summary="300-W: 68 points, 3,148 training and 689 test faces in the wild",
    reader=_read_split,
    scheme=IBUG_68,
    normaliser="outer-eyes",
    subsets={**TEST_SUBSETS, "full": tuple(subset for members in TEST_SUBSETS.values() for subset in members)},
)
