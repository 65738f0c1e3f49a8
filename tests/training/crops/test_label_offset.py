"""The offset of labels to one side, measured with a shipped network on real faces."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.files.model_file import FaceModel, load_model
from models.landmark_schemes import scheme_from_names
from models.networks.interleaved.face_network import FaceNetworkConfig
from models.registry import open_model
from training.config import AugmentationConfig, LandmarkRecipe, OptimiserConfig, PhaseConfig
from training.crops.label_offset import LabelOffset, measure_label_offset, shrunken_mean
from training.crops.labelled_crops import Batch, LabelledCrops, load_crops, mirrored
from training.engine.processes import Processes
from training.stages.landmark_stage import read_faces, train_on_faces, validate

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
        moved = crops.shifted(pixels / crops.size)
        found[pixels] = measure_label_offset(model.network, moved, CPU)
    # What the shipped network's own labels have is part of both.
    assert found[4.0] - found[-4.0] == pytest.approx(8 / crops.size, rel=0.1)
    assert found[-4.0] < 0 < found[4.0]


def test_a_mirror_turns_the_offset_round(model: FaceModel, crops: LabelledCrops) -> None:
    moved = crops.shifted(4 / crops.size)
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
        moved = crops.shifted(pixels / crops.size)
        seen[pixels] = offset.look(model.network, moved, CPU, None)
    assert seen[2.0] > 0
    assert seen[-4.0] < -seen[2.0]
    assert seen[0.1] == seen[-4.0] == offset.value
    resumed = LabelOffset(mirrors=True)
    resumed.restore(offset.state())
    assert resumed.value == offset.value


def test_a_network_that_sees_no_mirror_images_learns_the_offset_itself(model: FaceModel, crops: LabelledCrops) -> None:
    moved = crops.shifted(4 / crops.size)
    assert LabelOffset(mirrors=False).look(model.network, moved, CPU, None) == 0.0


def test_without_the_offset_labels_are_what_the_network_can_learn(model: FaceModel, crops: LabelledCrops) -> None:
    moved = crops.shifted(4 / crops.size)
    torch.testing.assert_close(moved.points, crops.points + torch.tensor([4.0, 0.0]))
    to_learn = moved.shifted(-measure_label_offset(model.network, moved, CPU))
    as_they_are, taken_off = (validate(model.network, some, 16, CPU)["nme_percent"] for some in (moved, to_learn))
    assert taken_off < 0.7 * as_they_are


def test_a_run_learns_labels_without_their_offset_and_adds_it_to_answers(
    twelve_labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = LandmarkRecipe(
        name="moved",
        start_from=Path("fast128"),
        network=FaceNetworkConfig(input_size=128, heatmap_size=64, width=0.5, skip_connections=True),
        augmentation=AugmentationConfig(flip=0.5),
        optimiser=OptimiserConfig(batch_size=4),
        phases=(PhaseConfig(epochs=1.5, head=1e-5, encoder=1e-5, decoder=1e-5, warmup_steps=0),),
    )
    faces, _ = read_faces(recipe, twelve_labelled, print)
    moved = [replace(face, points=face.points + np.float32([0.05 * np.ptp(face.points[:, 0]), 0])) for face in faces]
    learned = []
    augmented = LabelledCrops.augmented

    def seen(crops: LabelledCrops, *args: Any) -> Batch:
        learned.append(crops.points)
        return augmented(crops, *args)

    monkeypatch.setattr(LabelledCrops, "augmented", seen)
    monkeypatch.setattr("training.stages.landmark_stage.EARLY", 2)
    path = train_on_faces(recipe, moved, [], tmp_path / "run", processes=Processes(CPU))
    assert path is not None
    offset = load_model(path).label_offset
    assert 0.025 < offset < 0.045  # of the crop, which is 1.3 times the face
    first, second, third, *_ = learned
    assert torch.equal(first, second)
    to_left = (first - third) / 128
    torch.testing.assert_close(to_left[..., 0], torch.full_like(to_left[..., 0], offset), atol=0.005, rtol=0)
    assert not to_left[..., 1].any()


def test_validation_measures_the_model_as_it_answers(model: FaceModel, crops: LabelledCrops) -> None:
    moved = crops.shifted(4 / crops.size)
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
