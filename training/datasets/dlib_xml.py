"""dlib's XML, which its tool imglab writes, and in which dlib publishes 300-W (``labels_ibug_300W_{train,test}.xml``).

``<dataset><images><image file='helen/trainset/1_1.jpg'><box top='1' left='1' width='9' height='9'><part name='00'
x='3' y='4'/>...``: a box is a face, its parts are landmarks, files are relative to the XML file. Boxes marked
``ignore='1'`` are passed over. Coordinates are whole pixels counted from 0, which is how dlib counts.
http://dlib.net/files/data/ibug_300W_large_face_landmark_dataset.tar.gz
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path, PurePosixPath

import numpy as np

from models.errors import FewmarkError
from models.landmark_schemes import LandmarkScheme
from tracker.types import FaceBox
from training.datasets.base import DatasetReport, FaceSample, Split, labelled, reading
from training.datasets.dataset import Dataset
from training.datasets.own_schemes import scheme_of
from training.datasets.w300 import photo_group


def read_dlib_xml(root: Path, split: Split) -> DatasetReport:
    """The faces of an XML file, or of those of a folder; a part that is missing is not visible.

    A file whose name holds the word "test" has test faces. Where some names say "train" or "test" the others are left
    out: they hold both, as dlib's ``labels_ibug_300W.xml`` does. Where none does, all of them have training faces.

    Raises:
        FewmarkError: there is no file of the split, or one is damaged or has no landmarks.
    """
    report = DatasetReport()
    for path in _files(root, split):
        try:
            images = ElementTree.parse(path).getroot().findall("images/image")
        except (OSError, ElementTree.ParseError) as error:
            raise FewmarkError(f"{path}: not a readable XML file ({error})") from error
        names = _part_names(images)
        if not names:
            raise FewmarkError(f"{path}: no image with landmarks in it (looked for images/image/box/part)")
        scheme = scheme_of(path, [name.lstrip("0") or "0" if name.isdecimal() else name for name in names])
        for image in reading(images, path.name):
            file = image.get("file", "")
            for number, box in enumerate(image.findall("box"), start=1):
                if box.get("ignore") == "1":
                    continue
                where = f"{path.name}, {file}, box {number}"
                try:
                    report.add(_face(path.parent, file, box, names, scheme), where)
                except (KeyError, ValueError) as error:
                    report.skipped.append(f"{where}: a value is missing or no number ({error})")
    return report


def _files(root: Path, split: Split) -> list[Path]:
    files = [root] if root.is_file() else sorted(root.glob("*.xml"))
    if not files:
        raise FewmarkError(f"{root}: no .xml file here; pass the file, or the folder that holds it")
    test = [file for file in files if "test" in file.stem.lower()]
    train = [file for file in files if "train" in file.stem.lower() and file not in test]
    if not test and not train:
        train = files
    return {"train": train, "test": test, "all": train + test}[split]


def _part_names(images: list[ElementTree.Element]) -> list[str]:
    """All names of parts: numbers by value, others in the order in which they come up."""
    names = list(dict.fromkeys(part.get("name", "") for image in images for part in image.iterfind("box/part")))
    return sorted(names, key=int) if all(name.isdecimal() for name in names) else names


def _face(folder: Path, file: str, box: ElementTree.Element, names: list[str], scheme: LandmarkScheme) -> FaceSample:
    """The face of one box. KeyError or ValueError: an attribute is missing or is no number."""
    points = np.full((len(names), 2), np.nan, np.float32)
    for part in box.iterfind("part"):
        points[names.index(part.get("name", ""))] = float(part.attrib["x"]), float(part.attrib["y"])
    left, top, width, height = (float(box.attrib[key]) for key in ("left", "top", "width", "height"))
    below = PurePosixPath(file.replace("\\", "/"))
    subset = "" if below.parent == PurePosixPath() else below.parent.as_posix()
    return FaceSample(
        image_path=folder / below,
        points=points,
        visible=labelled(points),
        scheme=scheme,
        subset=subset,
        group=photo_group(subset, below.stem),
        box=FaceBox(np.array([left, top, left + width, top + height], np.float32), score=1.0),
    )


DLIB_XML = Dataset(
    name="dlib-xml",
    summary="dlib's XML (imglab): any landmarks; dlib's own copy of 300-W",
    reader=read_dlib_xml,
    scheme=None,
    normaliser=None,
)
