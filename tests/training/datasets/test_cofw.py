"""The COFW reader, on HDF5 files laid out as MATLAB 7.3 lays them out."""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from models.errors import FewmarkError
from models.landmark_schemes import COFW_29
from training.datasets import DATASETS

COFW = DATASETS["cofw"]
RNG = np.random.default_rng(0)
POINTS = RNG.uniform(20, 90, (29, 2))  # counted from 1
OCCLUDED = RNG.random(29) < 0.3


def write_cofw(path: Path, suffix: str, images: list[np.ndarray]) -> None:
    """MATLAB's cell of (H, W, 3) images, and its matrices, are turned round in HDF5."""
    count = len(images)
    labels = np.concatenate([POINTS[:, 0], POINTS[:, 1], OCCLUDED])
    with h5py.File(path, "w", userblock_size=512) as file:
        references = file.create_dataset(f"Is{suffix}", (1, count), dtype=h5py.ref_dtype)
        for i, image in enumerate(images):
            references[0, i] = file.create_dataset(f"#refs#/{i}", data=image.T).ref
        file[f"phis{suffix}"] = np.tile(labels[:, None], (1, count))
        file[f"bboxes{suffix}"] = np.tile(np.array([[11.0], [21.0], [70.0], [60.0]]), (1, count))


COLOUR = RNG.integers(0, 256, (100, 120, 3), np.uint8)
GREY = RNG.integers(0, 256, (110, 95), np.uint8)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    write_cofw(tmp_path / "COFW_train_color.mat", "Tr", [COLOUR, GREY, COLOUR])
    write_cofw(tmp_path / "COFW_test_color.mat", "T", [GREY])
    return tmp_path


def test_faces_and_images_come_out_of_the_file(tree: Path) -> None:
    report = COFW.read(tree, "train")
    assert report.skipped == []
    first, second, _ = report.samples
    assert first.scheme is COFW_29
    np.testing.assert_allclose(first.points, POINTS - 1, atol=1e-4)
    assert first.occluded is not None
    np.testing.assert_array_equal(first.occluded, OCCLUDED)
    assert first.visible.all()
    assert first.box is not None
    assert first.box.xyxy.tolist() == [10, 20, 80, 80]
    np.testing.assert_array_equal(first.load_image(), COLOUR)
    np.testing.assert_array_equal(second.load_image(), np.stack([GREY] * 3, axis=-1))
    assert len({s.group for s in report.samples}) == 3


def test_splits(tree: Path) -> None:
    assert [s.subset for s in COFW.read(tree, "all").samples] == ["train", "train", "train", "test"]
    (test,) = COFW.read(tree, "test").samples
    assert test.load_image().shape == (110, 95, 3)


def test_bad_faces_are_skipped_and_named(tree: Path) -> None:
    with h5py.File(tree / "COFW_train_color.mat", "r+") as file:
        file["phisTr"][3, 0] = np.nan
        file["IsTr"][0, 1] = h5py.Reference()
    report = COFW.read(tree, "train")
    assert len(report.samples) == 1
    first, second = report.skipped
    assert first.startswith("COFW_train_color.mat, face 1: a coordinate is not finite")
    assert second.startswith("COFW_train_color.mat, face 2: ")
    assert "no image IsTr 2" in second


def test_a_file_of_another_form(tree: Path) -> None:
    path = tree / "COFW_train_color.mat"
    with h5py.File(path, "r+") as file:
        del file["phisTr"]
        file["phisTr"] = np.zeros((58, 3))
    with pytest.raises(FewmarkError, match="phisTr should be 87 x N numbers"):
        COFW.read(tree)
    path.write_bytes(b"MATLAB 7.3 MAT-file, cut short")
    with pytest.raises(FewmarkError, match=r"not a readable MATLAB 7\.3 file"):
        COFW.read(tree)
    path.unlink()
    with pytest.raises(FewmarkError, match="no train file of COFW here"):
        COFW.read(tree)


def test_without_h5py_the_extra_is_named(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(FewmarkError, match=r"fewmark\[datasets\]"):
        COFW.read(tree)
