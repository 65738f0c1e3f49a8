"""The readers of AFLW2000-3D and 300-W-LP, on .mat files as their authors publish them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image

from models.errors import FewmarkError
from models.landmark_schemes import IBUG_68, PROJECTED_68
from training.datasets import DATASETS, split_validation
from training.datasets.mat_files import load_mat

AFLW2000, W300LP = DATASETS["aflw2000-3d"], DATASETS["300w-lp"]
POINTS = np.random.default_rng(0).uniform(20, 430, (68, 2)).astype(np.float32)  # counted from 1


def write_aflw2000(root: Path, number: int, yaw_degrees: float, **changes: object) -> None:
    root.mkdir(exist_ok=True)
    name = f"image{number:05d}"
    Image.new("RGB", (450, 450)).save(root / f"{name}.jpg")
    fields = {
        "pt3d_68": np.vstack([POINTS.T, np.zeros((1, 68), np.float32)]),
        "pt2d": np.zeros((2, 21)),
        "Pose_Para": np.array([[0.1, np.radians(yaw_degrees), 0.2, 200, 250, 0, 0.001]]),
    }
    scipy.io.savemat(root / f"{name}.mat", fields | changes)


@pytest.fixture
def aflw2000(tmp_path: Path) -> Path:
    for number, yaw in enumerate((5, -29, -45, 88, -95), start=2):
        write_aflw2000(tmp_path, number, yaw)
    return tmp_path


def test_aflw2000_is_a_test_set_by_yaw(aflw2000: Path) -> None:
    samples = AFLW2000.read(aflw2000, "test").samples
    assert len(samples) == 5
    np.testing.assert_allclose(samples[0].points, POINTS - 1, atol=1e-4)
    assert samples[0].scheme is PROJECTED_68
    assert [AFLW2000.subsets_of(s) for s in samples] == [
        ("yaw-0-30",), ("yaw-0-30",), ("yaw-30-60",), ("yaw-60-90",), (),
    ]  # fmt: skip
    assert len(AFLW2000.read(aflw2000, "yaw-0-30").samples) == 2
    assert len(AFLW2000.read(aflw2000, "all").samples) == 5
    with pytest.raises(FewmarkError, match="is a test set"):
        AFLW2000.read(aflw2000, "train")


def test_bad_faces_of_aflw2000_are_skipped_and_named(aflw2000: Path) -> None:
    (aflw2000 / "image00002.mat").write_bytes(b"MATLAB 5.0 MAT-file" + b" " * 200)
    (aflw2000 / "image00003.jpg").unlink()
    write_aflw2000(aflw2000, 4, 0, pt3d_68=np.ones((3, 67)))
    write_aflw2000(aflw2000, 5, 0, Pose_Para=np.zeros(0))
    report = AFLW2000.read(aflw2000, "test")
    assert len(report.samples) == 1
    reasons = ("not a readable .mat file", "no such image", "68 landmarks expected, found 67", "not of the form")
    for said, reason in zip(report.skipped, reasons, strict=True):
        assert reason in said
    (aflw2000 / "nothing").mkdir()
    with pytest.raises(FewmarkError, match=r"no image\*\.mat"):
        AFLW2000.read(aflw2000 / "nothing", "test")


def write_w300lp(root: Path, subset: str, name: str) -> None:
    (root / subset).mkdir(parents=True, exist_ok=True)
    (root / "landmarks" / subset).mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (450, 450)).save(root / subset / f"{name}.jpg")
    fields = {"pts_2d": POINTS[::-1].astype(float), "pts_3d": POINTS.astype(float)}
    scipy.io.savemat(root / "landmarks" / subset / f"{name}_pts.mat", fields)
    scipy.io.savemat(root / subset / f"{name}.mat", {"pt2d": np.zeros((2, 68))})


def test_w300lp_keeps_the_poses_of_a_photo_together(tmp_path: Path) -> None:
    for pose in range(3):
        for face in (1, 2):
            write_w300lp(tmp_path, "AFW", f"AFW_134212_{face}_{pose}")
            write_w300lp(tmp_path, "AFW", f"AFW_261068_{face}_{pose}")
        for photo in (1629243, 1691766):
            write_w300lp(tmp_path, "HELEN", f"HELEN_{photo}_1_{pose}")
    (tmp_path / "AFW_Flip").mkdir()
    samples = W300LP.read(tmp_path).samples
    assert len(samples) == 18
    np.testing.assert_allclose(samples[0].points, POINTS - 1, atol=1e-4)
    groups = {s.group for s in samples}
    assert groups == {"AFW_134212", "AFW_261068", "HELEN_1629243_1", "HELEN_1691766_1"}
    train, validation = split_validation(samples, 0.5)
    assert {s.group for s in validation} == {"AFW_261068", "HELEN_1691766_1"}
    assert len(train) == 9
    with pytest.raises(FewmarkError, match="is a training set"):
        W300LP.read(tmp_path, "test")


def test_bad_faces_of_w300lp_are_skipped_and_named(tmp_path: Path) -> None:
    with pytest.raises(FewmarkError, match=r"looked for landmarks/\{AFW,HELEN,IBUG,LFPW\}"):
        W300LP.read(tmp_path)
    for pose in range(4):
        write_w300lp(tmp_path, "IBUG", f"IBUG_image_003_1_{pose}")
    labels = tmp_path / "landmarks/IBUG"
    (labels / "IBUG_image_003_1_0_pts.mat").write_bytes(b"")
    scipy.io.savemat(labels / "IBUG_image_003_1_1_pts.mat", {"pts_2d": POINTS})
    scipy.io.savemat(labels / "IBUG_image_003_1_2_pts.mat", {"pts_3d": np.array(["no", "numbers"])})
    report = W300LP.read(tmp_path)
    assert len(report.samples) == 1
    reasons = ("not a readable .mat file", "no variable 'pts_3d'", "not of the form")
    for said, reason in zip(report.skipped, reasons, strict=True):
        assert reason in said


def test_projected_points_are_another_scheme_of_the_same_points() -> None:
    assert PROJECTED_68.point_names == IBUG_68.point_names
    assert PROJECTED_68 != IBUG_68


def test_without_scipy_the_extra_is_named(aflw2000: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(FewmarkError, match=r"needs SciPy: pip install 'fewmark\[datasets\]'"):
        AFLW2000.read(aflw2000, "test")


@pytest.mark.parametrize("damage", [lambda data, i: data[:i], lambda data, i: data[:i] + b"\xff\x07" + data[i + 2 :]])
def test_any_damage_to_a_mat_file_is_told(tmp_path: Path, damage: Callable[[bytes, int], bytes]) -> None:
    whole, damaged = tmp_path / "whole.mat", tmp_path / "damaged.mat"
    scipy.io.savemat(whole, {"pts_3d": POINTS}, do_compression=True)
    data = whole.read_bytes()
    refused = 0
    for i in range(0, len(data), max(1, len(data) // 60)):
        damaged.write_bytes(damage(data, i))
        try:
            load_mat(damaged, ("pts_3d",))
        except FewmarkError:
            refused += 1
    assert refused > 30  # a few bytes are free text, which may be anything
