"""Landmark sets that cover a part of the face: crops must hold all of it, as the detector's do."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.errors import FewmarkError
from models.files.model_file import load_model
from models.landmark_schemes import IBUG_68, SCHEMES, LandmarkScheme, scheme_from_names
from tracker.config import DetectionConfig
from tracker.detectors.base import FaceDetector
from tracker.files.dataclass_toml import load_toml
from tracker.following.association import overlaps
from tracker.following.pipeline import open_detector
from tracker.geometry.crop import box_around_points
from tracker.types import FloatArray
from training.config import DataConfig, LandmarkRecipe
from training.crops.face_square import needs_face_square, with_face_square
from training.datasets import FaceSample, get_dataset
from training.engine.processes import Processes
from training.evaluation import evaluate_model, work_out
from training.recipes import find_recipe
from training.stages.landmark_stage import train_landmarks

FIVE = scheme_from_names("five", ["left_pupil", "right_pupil", "nose", "left_mouth_corner", "right_mouth_corner"])


def five_of(points: FloatArray) -> FloatArray:
    return np.stack([points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]])


def relabelled(sample: FaceSample, scheme: LandmarkScheme, points: FloatArray) -> FaceSample:
    return replace(sample, scheme=scheme, points=points, visible=np.ones(len(points), bool))


@pytest.fixture(scope="module")
def detector() -> Iterator[FaceDetector]:
    with closing(open_detector(DetectionConfig())) as found:
        yield found


@pytest.fixture(scope="module")
def faces(shared_data: Path) -> list[FaceSample]:
    samples = get_dataset("300w").read(shared_data / "300w", "train").samples
    return [sample for sample in samples if sample.subset.startswith("helen")][:30]


def test_only_sets_from_brows_to_chin_are_known_to_span_the_face() -> None:
    known = {name for name, scheme in SCHEMES.items() if not needs_face_square(scheme)}
    assert known == {"300w-68", "300w-lp-68", "wflw-98"}
    assert needs_face_square(FIVE)


def test_a_few_points_lead_to_the_crop_of_all_68(detector: FaceDetector, faces: list[FaceSample]) -> None:
    lines: list[str] = []
    ten = [relabelled(face, FIVE, five_of(face.points)) for face in faces[:10]]
    scheme = with_face_square(FIVE, ten, detector, lines.append)
    assert not needs_face_square(scheme)
    assert scheme == FIVE  # the same points
    assert len(lines) == 1
    assert "five: the face is " in lines[0]
    others = faces[10:]
    truth = [box_around_points(face.points, IBUG_68) for face in others]
    found = [box_around_points(five_of(face.points), scheme) for face in others]
    before = [box_around_points(five_of(face.points), FIVE) for face in others]
    overlap, without = overlaps(found, truth).diagonal(), overlaps(before, truth).diagonal()
    assert np.median(overlap) > 0.75
    assert overlap.min() > 0.5
    assert without.max() < 0.5


def test_photos_without_faces_tell_nothing(detector: FaceDetector, faces: list[FaceSample], tmp_path: Path) -> None:
    far = relabelled(faces[0], FIVE, five_of(faces[0].points) + np.float32(5000))
    with pytest.raises(FewmarkError, match="five: the detector finds no face at the labels of 1 photos"):
        with_face_square(FIVE, [far], detector)


def test_a_single_point_can_not_lead_to_a_face(detector: FaceDetector, faces: list[FaceSample]) -> None:
    tip = scheme_from_names("tip", ["nose_tip"])
    with pytest.raises(FewmarkError, match="too little to follow it"):
        with_face_square(tip, [relabelled(face, tip, face.points[30:31]) for face in faces[:3]], detector)


@pytest.mark.slow
def test_ten_images_teach_a_set_of_ones_own(faces: list[FaceSample], tmp_path: Path) -> None:
    table = tmp_path / "five.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "split", *(f"{name}_{axis}" for name in FIVE.point_names for axis in "xy")])
        for number, face in enumerate(faces):
            writer.writerow([face.image_path, "train" if number < 10 else "test", *five_of(face.points).ravel()])
    recipe = load_toml(LandmarkRecipe, find_recipe(Path("teach256")))
    recipe = replace(recipe, data=DataConfig(dataset="csv", validation=0.0))
    path = train_landmarks(recipe, table, tmp_path / "run", processes=Processes(torch.device("cpu")))
    assert path is not None
    model = load_model(path)
    assert model.scheme.face_square is not None
    # Through the whole pipeline, with the tracker's own crops.
    evaluation = evaluate_model(model, table, dataset="csv", subset="test", backend="eager")
    assert evaluation.found.mean() > 0.9
    assert work_out(evaluation).overall.nme_percent < 7  # of the box of the five points
    from_labels = evaluate_model(model, table, dataset="csv", subset="test", backend="eager", crops="truth")
    assert work_out(from_labels).overall.nme_percent < 7
