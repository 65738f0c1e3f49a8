"""COFW: 29 points with occlusions, in the files that its authors publish (``COFW_color.zip`` or ``COFW.zip``).

``ROOT/COFW_train_color.mat`` and ``ROOT/COFW_test_color.mat`` (without ``_color``: grey images), MATLAB 7.3, which is
HDF5: ``IsTr`` (1, N) references to the images, ``phisTr`` (87, N): x of 29 points, y, and 1 where the point is
occluded; ``bboxesTr`` (4, N): left, top, width, height. The test file calls them ``IsT``, ``phisT``, ``bboxesT``.
Pixels are counted from 1. HDF5 turns MATLAB's arrays round: an image is (3, W, H) in it, a grey one (W, H).
http://www.vision.caltech.edu/xpburgos/ICCV13/
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.errors import FewmarkError
from models.landmark_schemes import COFW_29
from tracker.types import FaceBox, FloatArray, ImageArray
from training.datasets.base import DatasetReport, FaceSample, Split, find_below, reading
from training.datasets.dataset import Dataset

if TYPE_CHECKING:
    import h5py

_K = COFW_29.num_points
_SUFFIX = {"train": "Tr", "test": "T"}  # of the variables' names


@dataclass(frozen=True, slots=True, eq=False)
class CofwSample(FaceSample):
    """A face whose image lies in a file with all the others; ``image_path`` is that file."""

    images: str = "IsTr"  # the variable that refers to them
    index: int = 0

    def load_image(self) -> ImageArray:
        """(H, W, 3) uint8 RGB.

        Raises:
            FewmarkError: the file can't be read, or there is no such image in it.
        """
        with _open(self.image_path) as file:
            image = np.asarray(_image(file, self.images, self.index)).T
        if image.dtype != np.uint8 or image.ndim not in (2, 3):
            raise FewmarkError(f"{self.image_path}: {self.images} {self.index + 1} is no 8-bit image; obtain it again")
        return np.ascontiguousarray(image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=-1))


def read_cofw(root: Path, split: Split) -> DatasetReport:
    """The faces of the files, numbered from 1 as in MATLAB.

    Raises:
        FewmarkError: a file is missing or of another form, or h5py is missing.
    """
    report = DatasetReport()
    for part in ("train", "test") if split == "all" else (split,):
        path = find_below(root, (f"COFW_{part}_color.mat", f"COFW_{part}.mat"), f"{part} file of COFW")
        with _open(path) as file:
            labels = _variable(file, path, f"phis{_SUFFIX[part]}", 3 * _K)
            boxes = _variable(file, path, f"bboxes{_SUFFIX[part]}", 4)
            images = f"Is{_SUFFIX[part]}"
            for index in reading(range(min(len(labels), len(boxes))), f"COFW {part}"):
                where = f"{path.name}, face {index + 1}"
                try:
                    shape = _image(file, images, index).shape
                except FewmarkError as error:
                    report.skipped.append(f"{where}: {error}")
                    continue
                sample = _face(path, part, labels[index], boxes[index], images, index)
                report.add(sample, where, size=(shape[-2], shape[-1]))
    return report


def _face(path: Path, part: str, labels: FloatArray, box: FloatArray, images: str, index: int) -> CofwSample:
    left, top, width, height = box - (1, 1, 0, 0)
    return CofwSample(
        image_path=path,
        points=labels[: 2 * _K].reshape(2, _K).T - 1,
        visible=np.ones(_K, bool),
        scheme=COFW_29,
        subset=part,
        group=f"{part}/{index}",
        box=FaceBox(np.array([left, top, left + width, top + height], np.float32), score=1.0),
        occluded=labels[2 * _K :] > 0,
        images=images,
        index=index,
    )


@contextmanager
def _open(path: Path) -> Iterator[h5py.File]:
    try:
        import h5py
    except ImportError as error:
        raise FewmarkError("reading COFW needs h5py: pip install 'fewmark[datasets]'") from error
    try:
        with h5py.File(path, "r") as file:
            yield file
    except OSError as error:
        raise FewmarkError(f"{path}: not a readable MATLAB 7.3 file ({error}); obtain it again") from error


def _variable(file: h5py.File, path: Path, name: str, rows: int) -> FloatArray:
    """(N, rows) numbers of a variable."""
    values = np.asarray(file[name], dtype=np.float32) if name in file else np.empty(0, np.float32)
    if values.ndim != 2 or len(values) != rows:
        raise FewmarkError(f"{path}: {name} should be {rows} x N numbers, found {values.shape}; obtain it again")
    return values.T


def _image(file: h5py.File, images: str, index: int) -> h5py.Dataset:
    """The image that an element of ``images`` refers to, (3, W, H) or (W, H), not read yet."""
    try:
        return file[file[images][0, index]]
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise FewmarkError(f"{file.filename}: no image {images} {index + 1} in it; obtain it again") from error


COFW = Dataset(
    name="cofw",
    summary="COFW: 29 points, 1,345 training and 507 test faces, many occluded",
    reader=read_cofw,
    scheme=COFW_29,
    normaliser="outer-eyes",
)
