"""The 300-W reader, on a small tree in the layout that iBUG publishes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.errors import FewmarkError
from training.datasets import DATASETS, DatasetReport, split_validation
from training.datasets.w300 import TRAIN_SUBSETS, read_pts, read_w300

POINTS = np.random.default_rng(0).uniform(1, 90, (68, 2)).round(6)
FIRST_HELD_OUT = {"lfpw/trainset": "image_0785", "helen/trainset": "2229778733_3", "afw": "59354095_1"}


def pts_text(points: np.ndarray, *, header: bool) -> str:
    lines = "\n".join(f"{x:.6f} {y:.6f}" for x, y in points)
    return f"version: 1\nn_points:  {len(points)}\n{{\n{lines}\n}}\n" if header else lines + "\n"


def write_face(folder: Path, name: str, *, header: bool = True, suffix: str = ".jpg") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.pts").write_text(pts_text(POINTS, header=header))
    cv2.imwrite(str(folder / f"{name}{suffix}"), np.full((100, 100, 3), 128, np.uint8))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for i in range(20):
        write_face(tmp_path / "lfpw/trainset", f"image_{i:04d}", suffix=".png")
        write_face(tmp_path / "helen/trainset", f"{1000 + i}_1", header=bool(i % 2))
    for photo in range(5):
        for face in (1, 2, 3):
            write_face(tmp_path / "afw", f"{photo}00_{face}")
    write_face(tmp_path / "helen/testset", "5_1")
    write_face(tmp_path / "ibug", "image_003_1")
    return tmp_path


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_points_become_zero_based(tmp_path: Path, header: bool, line_end: str) -> None:
    path = tmp_path / "a.pts"
    path.write_bytes(pts_text(POINTS, header=header).replace("\n", line_end).encode())
    np.testing.assert_allclose(read_pts(path), POINTS - 1, atol=1e-4)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "68 points expected"),
        (pts_text(POINTS[:67], header=True), "68 points expected"),
        (pts_text(POINTS, header=True).replace("\n}", "\nhello world\n}"), "not a list of points"),
        (pts_text(np.vstack([POINTS[:67], [[np.nan, 1]]]), header=False), "not finite"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "bad.pts"
    path.write_text(text)
    with pytest.raises(FewmarkError, match=rf"bad\.pts.*{problem}"):
        read_pts(path)


def test_the_layout_is_read(tree: Path) -> None:
    report = read_w300(tree)
    assert Counter(s.subset for s in report.samples) == {"lfpw/trainset": 20, "helen/trainset": 20, "afw": 15}
    assert report.skipped == []
    sample = report.samples[0]
    assert sample.load_image().shape == (100, 100, 3)
    assert sample.visible.all()
    np.testing.assert_allclose(sample.points, POINTS - 1, atol=1e-4)


def test_bad_samples_are_skipped_and_named(tree: Path) -> None:
    (tree / "afw/000_1.jpg").unlink()
    (tree / "afw/000_2.pts").write_text("nonsense")
    (tree / "afw/000_3.jpg").write_bytes(b"")
    (tree / "afw/100_1.pts").write_text(pts_text(POINTS + 300, header=True))
    report = read_w300(tree)
    assert len(report.samples) == 51
    assert [Path(line.split(":")[0]).name for line in report.skipped] == [
        "000_1.pts", "000_2.pts", "000_3.pts", "100_1.pts",
    ]  # fmt: skip
    for line, reason in zip(
        report.skipped, ("no image beside it", "not a list of points", "not a readable image", "outside the image"),
        strict=True,
    ):  # fmt: skip
        assert reason in line


def test_a_folder_without_the_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FewmarkError, match="no 300-W subset here"):
        read_w300(tmp_path)


@pytest.mark.parametrize(
    ("split", "subsets"),
    [
        ("train", {"lfpw/trainset": 20, "helen/trainset": 20, "afw": 15}),
        ("test", {"helen/testset": 1, "ibug": 1}),
        ("all", {"lfpw/trainset": 20, "helen/trainset": 20, "afw": 15, "helen/testset": 1, "ibug": 1}),
        ("common", {"helen/testset": 1}),
        ("challenging", {"ibug": 1}),
        ("full", {"helen/testset": 1, "ibug": 1}),
    ],
)
def test_the_published_splits(tree: Path, split: str, subsets: dict[str, int]) -> None:
    assert Counter(s.subset for s in DATASETS["300w"].read(tree, split).samples) == subsets


def test_validation_keeps_photos_whole_and_neighbours_together(tree: Path) -> None:
    samples = read_w300(tree).samples
    train, validation = split_validation(samples, 0.2)
    assert len(train) + len(validation) == len(samples)
    assert not {s.group for s in train} & {s.group for s in validation}
    assert Counter(s.subset for s in validation) == {"lfpw/trainset": 4, "helen/trainset": 4, "afw": 3}
    lfpw = [s.image_path.stem for s in validation if s.subset.startswith("lfpw")]
    assert lfpw == ["image_0016", "image_0017", "image_0018", "image_0019"]
    assert split_validation(samples, 0.0) == (samples, [])


@pytest.fixture(scope="module")
def real_report(shared_data: Path) -> DatasetReport:
    return DATASETS["300w"].read(shared_data / "300w", "train")


def test_the_real_training_images(real_report: DatasetReport) -> None:
    assert Counter(s.subset for s in real_report.samples) == dict(zip(TRAIN_SUBSETS, (803, 870, 164), strict=True))
    assert real_report.skipped == []
    for sample in real_report.samples[::200]:
        height, width = sample.load_image().shape[:2]
        assert (sample.points > -1).all()
        assert (sample.points < (width, height)).all()


def test_the_held_out_tenth_of_the_real_images_stays_the_same(real_report: DatasetReport) -> None:
    # Shipped models were trained on the rest: another tenth would be measured on what they have seen.
    _, validation = split_validation(real_report.samples, 0.1)
    assert Counter(s.subset for s in validation) == {"lfpw/trainset": 80, "helen/trainset": 87, "afw": 15}
    assert {s.subset: s.image_path.stem for s in reversed(validation)} == FIRST_HELD_OUT
