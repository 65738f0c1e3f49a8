"""Labels of one's own: the file that the labelling window writes (see ``tracker.files.label_file``)."""

from __future__ import annotations

from pathlib import Path

from models.errors import FewmarkError
from tracker.files.label_file import LABEL_SUFFIX, read_label_file
from training.datasets.base import DatasetReport, FaceSample, Split, labelled, reading
from training.datasets.dataset import Dataset

_OTHER_KINDS = {".csv": "csv", ".xml": "dlib-xml"}


def read_labels(root: Path, split: Split) -> DatasetReport:
    """The faces of a label file, or of the only one in a folder.

    Raises:
        FewmarkError: there is none or more than one, or it is unreadable.
    """
    if root.is_file() and (other := _OTHER_KINDS.get(root.suffix.lower())):
        raise FewmarkError(
            f"{root}: not a label file (*{LABEL_SUFFIX}); pass --dataset {other}, or set it in the recipe"
        )
    paths = [root] if root.is_file() else sorted(root.glob(f"*{LABEL_SUFFIX}"))
    if len(paths) != 1:
        found = f"{len(paths)} label files" if paths else f"no *{LABEL_SUFFIX} file"
        raise FewmarkError(f"{root}: {found} here; pass the path of one")
    labels = read_label_file(paths[0])
    report = DatasetReport(skipped=[f"{paths[0].name}, {problem}" for problem in labels.unreadable])
    for face in reading(labels.faces, paths[0].name):
        if split in (face.split, "all"):
            visible = labelled(face.points)
            subset, group = face.subset or paths[0].name.removesuffix(LABEL_SUFFIX), face.group or str(face.image_path)
            sample = FaceSample(face.image_path, face.points, visible, labels.scheme, subset, group)
            report.add(sample, f"{paths[0].name}, {face.image_path.name}")
    return report


LABELS = Dataset(
    name="labels",
    summary="labels of one's own, from the labelling window: any landmarks",
    reader=read_labels,
    scheme=None,
    normaliser=None,
)
