"""The offset of labels to one side, measured with a shipped network on real faces."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models.checkpoint import FaceModel
from models.landmark_schemes import scheme_from_names
from models.registry import open_model
from training.config import LandmarkRecipe
from training.label_offset import LabelOffset, measure_label_offset, shrunken_mean
from training.labelled_crops import LabelledCrops, load_crops, mirrored
from training.landmark_stage import read_faces, validate

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return open_model("fast128")


@pytest.fixture(scope="module")
def crops(twelve_labelled: Path, model: FaceModel) -> LabelledCrops:
    faces, _ = read_faces(LandmarkRecipe(name="faces"), twelve_labelled, print)
    return load_crops(faces, model.network.config.input_size, model.crop_rule)


def test_labels_that_lie_to_the_right_are_found_to(model: FaceModel, crops: LabelledCrops) -> None:
    found = {}
    for pixels in (-4.0, 4.0):
        moved = replace(crops, points=crops.points + torch.tensor([pixels, 0.0]))
        found[pixels] = measure_label_offset(model.network, moved, CPU)
    # What the shipped network's own labels have is part of both.
    assert found[4.0] - found[-4.0] == pytest.approx(8 / crops.size, rel=0.1)
    assert found[-4.0] < 0 < found[4.0]


def test_a_mirror_turns_the_offset_round(model: FaceModel, crops: LabelledCrops) -> None:
    moved = replace(crops, points=crops.points + torch.tensor([4.0, 0.0]))
    (batch,) = moved.exact(len(moved))
    turned = mirrored(batch, moved.scheme)
    in_mirror = replace(moved, images=(turned.images * 255).round().byte(), points=turned.points)
    there, here = (measure_label_offset(model.network, some, CPU) for some in (in_mirror, moved))
    assert there == pytest.approx(-here, rel=1e-3)


def test_without_mirror_pairs_there_is_no_offset(model: FaceModel, crops: LabelledCrops) -> None:
    scheme = scheme_from_names("numbered", [str(i) for i in range(68)])
    assert measure_label_offset(model.network, replace(crops, scheme=scheme), CPU) == 0.0


def test_what_was_seen_before_labels_were_learned_by_heart_counts(model: FaceModel, crops: LabelledCrops) -> None:
    seen = {}
    offset = LabelOffset(mirrors=True)
    for pixels in (2.0, -4.0, 0.1):
        moved = replace(crops, points=crops.points + torch.tensor([pixels, 0.0]))
        seen[pixels] = offset.look(model.network, moved, CPU, None)
    assert seen[2.0] > 0
    assert seen[-4.0] < -seen[2.0]
    assert seen[0.1] == seen[-4.0] == offset.value
    resumed = LabelOffset(mirrors=True)
    resumed.restore(offset.state())
    assert resumed.value == offset.value


def test_a_network_that_sees_no_mirror_images_learns_the_offset_itself(model: FaceModel, crops: LabelledCrops) -> None:
    moved = replace(crops, points=crops.points + torch.tensor([4.0, 0.0]))
    assert LabelOffset(mirrors=False).look(model.network, moved, CPU, None) == 0.0


def test_validation_measures_the_model_as_it_answers(model: FaceModel, crops: LabelledCrops) -> None:
    moved = replace(crops, points=crops.points + torch.tensor([4.0, 0.0]))
    offset = measure_label_offset(model.network, moved, CPU)
    without, follows = (validate(model.network, moved, 16, CPU, label_offset=x)["nme_percent"] for x in (0.0, offset))
    assert follows < 0.7 * without


def test_an_offset_that_may_be_chance_is_none() -> None:
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(50, generator=generator)
    assert shrunken_mean(noise - noise.mean()) == 0.0
    assert shrunken_mean(noise - noise.mean() + 0.1) == 0.0
    assert 0.9 < shrunken_mean(noise - noise.mean() + 1) < 1
    assert shrunken_mean(torch.tensor([1.0])) == 0.0


def test_faces_are_spread_over_all(crops: LabelledCrops) -> None:
    few = crops.spread(3)
    assert len(few) == 3
    torch.testing.assert_close(few.points, crops.points[[0, (len(crops) - 1) // 2, len(crops) - 1]])
    assert crops.spread(100) is crops
