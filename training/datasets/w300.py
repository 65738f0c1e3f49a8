"""300-W: 68 points by iBUG over LFPW, Helen, AFW and iBUG, in the layout that its authors publish.

``ROOT/lfpw/{trainset,testset}``, ``ROOT/helen/{trainset,testset}``, ``ROOT/afw``, ``ROOT/ibug``; any of them may be
absent. ``name.pts`` lies beside ``name.jpg`` or ``name.png``.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from models.errors import FewmarkError
from models.landmark_schemes import IBUG_68
from tracker.types import FloatArray
from training.datasets.base import DatasetReport, FaceSample

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
            f"{root}: no 300-W subset here (looked for {', '.join(subsets)}); pass the folder above them"
        )
    for subset in present:
        for pts in sorted((root / subset).glob("*.pts")):
            image = next((p for suffix in IMAGE_SUFFIXES if (p := pts.with_suffix(suffix)).is_file()), None)
            if image is None:
                report.skipped.append(f"{pts}: no image beside it")
                continue
            try:
                points = read_pts(pts)
            except FewmarkError as error:
                report.skipped.append(str(error))
                continue
            # AFW has one file a face, <photo>_<n>; elsewhere a photo holds one face.
            group = pts.stem.rsplit("_", 1)[0] if subset == "afw" else pts.stem
            report.samples.append(
                FaceSample(image, points, np.ones(len(points), bool), IBUG_68, subset, f"{subset}/{group}")
            )
    return report


def split_validation(samples: list[FaceSample], fraction: float) -> tuple[list[FaceSample], list[FaceSample]]:
    """(training, validation): the last ``fraction`` of each subset in name order, photos kept whole.

    A block, not a draw: LFPW's near-duplicates are neighbours by name, and only one seam a subset can part a pair.
    """
    train: list[FaceSample] = []
    validation: list[FaceSample] = []
    for subset in dict.fromkeys(s.subset for s in samples):
        members = [s for s in samples if s.subset == subset]
        groups = list(dict.fromkeys(s.group for s in members))
        held_out = set(groups[len(groups) - round(len(groups) * fraction) :])
        for sample in members:
            (validation if sample.group in held_out else train).append(sample)
    return train, validation
