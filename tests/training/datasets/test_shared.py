"""What readers share: the checks of a sample, groups, estimates of what isn't labelled, the registry."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from models.errors import FewmarkError
from models.landmark_schemes import scheme_from_names
from training.datasets import DATASETS, FaceSample, get_dataset, select_samples, split_validation
from training.datasets.base import DatasetReport, image_size, load_rgb, problem_of
from training.datasets.unlabelled_points import estimate_unlabelled
from training.evaluation.normalisers import NORMALISERS

SCHEME = scheme_from_names("four", ["left_eye", "right_eye", "nose", "chin"])
SHAPE = np.array([[30, 40], [70, 40], [50, 60], [50, 90]], np.float32)


def sample(
    points: np.ndarray = SHAPE, *, path: Path = Path("a.png"), subset: str = "s", group: str = "g"
) -> FaceSample:
    return FaceSample(path, points.astype(np.float32), ~np.isnan(points).any(axis=1), SCHEME, subset, group)


@pytest.mark.parametrize(
    ("points", "problem"),
    [
        (SHAPE, ""),
        (SHAPE - (40, 0), ""),  # a face that reaches out of the photo
        (SHAPE * np.array([[np.nan], [1], [1], [1]]), ""),
        (SHAPE[:3], "4 landmarks expected, found 3"),
        (SHAPE * np.nan, "no landmark is labelled"),
        (np.where(SHAPE == 60, np.inf, SHAPE), "not finite"),
        (SHAPE - (70, 0), "40 px outside the image of 100x100 px"),
        (SHAPE - (0, -70), "outside"),
        (SHAPE * 2, "outside"),  # labels of a photo that was twice as large
        (SHAPE * 0.01 + 50, "all landmarks lie within"),
    ],
)
def test_what_makes_a_sample_bad(points: np.ndarray, problem: str) -> None:
    found = problem_of(sample(points), (100, 100))
    assert problem in found
    assert bool(found) == bool(problem)


def test_a_scheme_of_one_point_has_no_extent() -> None:
    one = dataclasses.replace(
        sample(), points=SHAPE[:1], visible=np.ones(1, bool), scheme=scheme_from_names("o", ["n"])
    )
    assert problem_of(one, (100, 100)) == ""


def test_images_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("no image")
    Image.new("RGB", (100, 100)).save(tmp_path / "good.png")
    report = DatasetReport()
    for name in ("empty.png", "text.png", "missing.png", "good.png"):
        report.add(sample(path=tmp_path / name), f"face of {name}")
    assert [s.image_path.name for s in report.samples] == ["good.png"]
    for said, name in zip(report.skipped, ("empty.png", "text.png", "missing.png"), strict=True):
        assert said.startswith(f"face of {name}: ")
    assert "no such image" in report.skipped[2]


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_the_size_is_that_of_the_loaded_image(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "Gesicht_ä.jpg"
    Image.new("RGB", (120, 80)).save(path, exif=exif)
    height, width = load_rgb(path).shape[:2]
    assert image_size(path) == (width, height)
    assert (width < height) == (orientation > 4)


names = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 6)), max_size=40)


@given(names, st.floats(0, 1))
def test_no_split_parts_a_group(drawn: list[tuple[str, int]], fraction: float) -> None:
    samples = [sample(subset=subset, group=f"person {group}") for subset, group in drawn]
    train, validation = split_validation(samples, fraction)
    assert not {s.group for s in train} & {s.group for s in validation}
    assert sorted(map(id, samples)) == sorted(map(id, train + validation))
    again = split_validation(samples, fraction)
    assert [list(map(id, part)) for part in again] == [list(map(id, part)) for part in (train, validation)]


@given(st.floats(0.2, 4), st.floats(-math.pi, math.pi), st.floats(-50, 50), st.sets(st.integers(0, 3), max_size=2))
def test_hidden_landmarks_are_where_the_mean_face_has_them(
    scale: float, roll: float, shift: float, hidden: set[int]
) -> None:
    rotation = np.array([[math.cos(roll), -math.sin(roll)], [math.sin(roll), math.cos(roll)]])
    turned = scale * SHAPE @ rotation.T + shift
    partial = turned.copy()
    partial[sorted(hidden)] = np.nan
    whole, completed = estimate_unlabelled([sample(), sample(partial)])
    assert whole.points is not None
    np.testing.assert_allclose(completed.points, turned, atol=1e-3 * max(1, scale) * 100)
    assert completed.visible.tolist() == [i not in hidden for i in range(4)]


def test_without_a_complete_face_the_middle_has_to_do() -> None:
    partial = SHAPE.copy()
    partial[3] = np.nan
    (completed,) = estimate_unlabelled([sample(partial)])
    assert completed.points[3].tolist() == pytest.approx(SHAPE[:3].mean(axis=0).tolist())
    np.testing.assert_array_equal(completed.points[:3], SHAPE[:3])


def test_every_dataset_is_complete() -> None:
    for name, dataset in DATASETS.items():
        assert get_dataset(name) is dataset
        assert dataset.name == name
        assert dataset.summary
        assert dataset.normaliser is None or dataset.normaliser in NORMALISERS
        assert (dataset.normaliser is None) == (dataset.scheme is None)


def test_names_that_mean_nothing(tmp_path: Path) -> None:
    with pytest.raises(FewmarkError, match="dataset 'imagenet' is unknown; choose one of 300w, wflw"):
        get_dataset("imagenet")
    with pytest.raises(
        FewmarkError, match="subset 'half' is unknown; choose one of validation, train, test, all, common"
    ):
        select_samples("300w", tmp_path, "half")
    with pytest.raises(
        FewmarkError, match="dataset wflw: no split 'common'; choose one of train, test, all, full, pose"
    ):
        DATASETS["wflw"].read(tmp_path, "common")


def test_an_empty_split_says_what_was_skipped(tmp_path: Path) -> None:
    (tmp_path / "faces.csv").write_text("image,x0,y0,x1,y1\nnowhere.png,1,2,30,40\n")
    with pytest.raises(
        FewmarkError, match=r"no train face of csv here \(1 skipped; the first: faces\.csv, line 2: .*no such"
    ):
        DATASETS["csv"].read(tmp_path)
