"""The CSV reader: layouts told by their header."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.errors import FewmarkError
from models.landmark_schemes import IBUG_68
from training.datasets import DATASETS

CSV = DATASETS["csv"]
POINTS = np.random.default_rng(0).uniform(10, 90, (68, 2)).round(3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        Image.new("RGB", (100, 100)).save(tmp_path / name)
    return tmp_path


def table(header: list[str], *rows: list[object], delimiter: str = ",") -> str:
    return "".join(delimiter.join(map(str, row)) + "\n" for row in (header, *rows))


OPENFACE = ["frame", "face_id", "timestamp", "confidence", "success", "gaze_0_x", "gaze_0_y", "eye_lmk_x_0"]
LAYOUTS = {
    "openface": (
        ["image", *OPENFACE, *(f"x_{i}" for i in range(68)), *(f"y_{i}" for i in range(68)), "X_0", "Y_0"],
        ["a.jpg", 1, 0, 0, 1, 1, 0.5, 0.5, 7, *POINTS[:, 0], *POINTS[:, 1], 5, 5],
    ),
    "interleaved": (
        ["path", *(f"{axis}{i}" for i in range(68) for axis in "xy")],
        ["a.jpg", *POINTS.reshape(-1)],
    ),
    "counted from 1": (
        ["file", *(f"{axis}_{i}" for i in range(1, 69) for axis in "xy")],
        ["a.jpg", *POINTS.reshape(-1)],
    ),
    "hrnet": (
        ["image_name", "scale", "center_w", "center_h", *(f"original_{i}_{a}" for i in range(68) for a in "xy")],
        ["a.jpg", 1.2, 50, 50, *POINTS.reshape(-1)],
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_68_points(folder: Path, layout: str) -> None:
    (folder / "faces.csv").write_text(table(*LAYOUTS[layout]))
    (sample,) = CSV.read(folder).samples
    assert sample.scheme is IBUG_68
    assert sample.image_path == folder / "a.jpg"
    assert sample.visible.all()
    np.testing.assert_allclose(sample.points, POINTS, atol=1e-4)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", ", "])
def test_names_of_ones_own_and_landmarks_left_out(folder: Path, delimiter: str) -> None:
    header = ["image", "left_eye_x", "left_eye_y", "right_eye_x", "right_eye_y", "nose_x", "nose_y", "nose_visible"]
    rows = [
        ["a.jpg", 20, 30, 60, 30, 40, 50, 1],
        ["b.jpg", 20, 30, "", "", 40, 50, 1],
        ["c.jpg", 20, 30, 60, 30, 40, 50, 0],
    ]
    text = table(header, *rows, delimiter=delimiter)
    (folder / "mine.csv").write_text(text, encoding="utf-8-sig")
    samples = CSV.read(folder / "mine.csv").samples
    assert [s.visible.tolist() for s in samples] == [[True] * 3, [True, False, True], [True, True, False]]
    assert samples[0].scheme.name == "mine-3"
    assert samples[0].scheme.point_names == ("left_eye", "right_eye", "nose")
    assert samples[0].scheme.mirror_pairs == ((0, 1),)
    for sample in samples:
        np.testing.assert_allclose(sample.points, [[20, 30], [60, 30], [40, 50]], atol=1e-3)


def test_names_that_end_in_numbers_are_names(folder: Path) -> None:
    names = ["left_brow_1", "left_brow_2", "right_brow_1", "right_brow_2", "nose"]
    header = ["image", *(f"{name}_{axis}" for name in names for axis in "xy")]
    (folder / "mine.csv").write_text(table(header, ["a.jpg", *range(10, 60, 5)]))
    (sample,) = CSV.read(folder).samples
    assert sample.scheme.point_names == tuple(names)
    assert sample.scheme.mirror_pairs == ((0, 2), (1, 3))
    np.testing.assert_allclose(sample.points[0], [10, 15])


def test_tables_with_their_columns_in_different_orders(folder: Path) -> None:
    (folder / "a.csv").write_text(table(["image", "eye_x", "eye_y", "nose_x", "nose_y"], ["a.jpg", 20, 30, "", ""]))
    (folder / "b.csv").write_text(table(["nose_x", "nose_y", "eye_x", "eye_y", "image"], [40, 50, 20, 30, "b.jpg"]))
    first, second = CSV.read(folder).samples
    assert first.scheme == second.scheme
    assert first.visible.tolist() == [True, False]
    assert second.visible.tolist() == [True, True]
    np.testing.assert_allclose(second.points, [[20, 30], [40, 50]])


@pytest.mark.parametrize(
    ("names", "problem"),
    [(("eye", "chin"), "chin is none of them"), (("eye",), "nose is missing"), (("eye", "nose", "ear"), "ear is none")],
)
def test_tables_of_different_landmarks(folder: Path, names: tuple[str, ...], problem: str) -> None:
    (folder / "a.csv").write_text(table(["image", "eye_x", "eye_y", "nose_x", "nose_y"], ["a.jpg", 20, 30, 40, 50]))
    header = ["image", *(f"{name}_{axis}" for name in names for axis in "xy")]
    (folder / "b.csv").write_text(table(header, ["b.jpg", *range(10, 10 * len(header), 10)]))
    with pytest.raises(FewmarkError, match=rf"b\.jpg: .*other landmarks than the 2 of a-2.*{problem}"):
        CSV.read(folder)


def test_split_subset_and_group_columns(folder: Path) -> None:
    header = ["image", "x0", "y0", "x1", "y1", "split", "subset", "group"]
    rows = [["a.jpg", 1, 2, 30, 40, "train", "indoors", "anna"], ["b.jpg", 1, 2, 30, 40, "test", "outdoors", "ben"]]
    (folder / "faces.csv").write_text(table(header, *rows))
    (train,) = CSV.read(folder, "train").samples
    assert (train.subset, train.group) == ("indoors", "anna")
    assert [s.group for s in CSV.read(folder, "test").samples] == ["ben"]
    assert len(CSV.read(folder, "all").samples) == 2


def test_without_a_split_column_the_tables_name_decides(folder: Path) -> None:
    content = table(["image", "x0", "y0", "x1", "y1"], ["a.jpg", 1, 2, 30, 40])
    (folder / "faces.csv").write_text(content)
    with pytest.raises(FewmarkError, match="no test face of csv"):
        CSV.read(folder, "test")
    (folder / "faces_test.csv").write_text(content)
    assert [s.subset for s in CSV.read(folder, "test").samples] == ["faces_test"]
    assert [s.subset for s in CSV.read(folder, "train").samples] == ["faces"]


def test_bad_rows_are_skipped_and_named(folder: Path) -> None:
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    rows: list[list[object]] = [
        ["a.jpg", "left", 2, 30, 40, "train"],
        ["nowhere.jpg", 1, 2, 30, 40, "train"],
        ["broken.jpg", 1, 2, 30, 40, "train"],
        ["a.jpg", 1, 2],
        ["a.jpg", "", "", "", "", "train"],
        ["a.jpg", 1, "", 30, 40, "train"],
        ["a.jpg", "inf", 2, 30, 40, "train"],
        ["a.jpg", 1, 2, 30, 40000, "train"],
        ["a.jpg", 5, 5, 5, 5, "train"],
        ["a.jpg", 1, 2, 30, 40, "training"],
        ["b.jpg", 1, 2, 30, 40, "train"],
    ]
    (folder / "faces.csv").write_text(table(["image", "x0", "y0", "x1", "y1", "split"], *rows))
    report = CSV.read(folder)
    assert [s.image_path.name for s in report.samples] == ["b.jpg"]
    reasons = (
        "could not convert", "no such image", "not a readable image", "the row ends before column x1",
        "no landmark is labelled", "only one has a value of x0 and y0", "not finite",
        "outside the image", "lie within", "neither train nor test",
    )  # fmt: skip
    for line, (said, reason) in enumerate(zip(report.skipped, reasons, strict=True), start=2):
        assert said.startswith(f"faces.csv, line {line}: ")
        assert reason in said


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        (["x0", "y0"], "no column with the image's path"),
        (["image", "a", "b"], "no landmarks among its columns"),
        (["image", "x0", "x1", "y1"], "column y0 is missing"),
        (["image", "x_0", "y_0", "x0", "y0"], "two columns for the x of one landmark"),
    ],
)
def test_a_header_that_says_too_little(folder: Path, header: list[str], problem: str) -> None:
    (folder / "faces.csv").write_text(table(header, ["a.jpg"] * len(header)))
    with pytest.raises(FewmarkError, match=problem):
        CSV.read(folder)


def test_what_is_no_table(folder: Path) -> None:
    with pytest.raises(FewmarkError, match=r"no \.csv file here"):
        CSV.read(folder)
    (folder / "faces.csv").write_bytes(b"\xff\xfe\x00image")
    with pytest.raises(FewmarkError, match="not a readable CSV table"):
        CSV.read(folder)
    (folder / "faces.csv").write_text("")
    with pytest.raises(FewmarkError, match="no column with the image's path"):
        CSV.read(folder)
