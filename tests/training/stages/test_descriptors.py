"""Dense descriptors: views and matches by geometry, and the stage on real faces."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from models.autoencoder.autoencoder import Autoencoder, AutoencoderConfig
from models.crop_rule import CropRule
from models.errors import FewmarkError
from models.files.autoencoder_file import TrainedAutoencoder, save_autoencoder
from models.files.descriptor_file import load_descriptors
from models.landmark_schemes import IBUG_68, scheme_from_names
from models.networks.interleaved.face_network import FaceNetwork, FaceNetworkConfig
from models.surgery.growing import widen_network
from tracker.files.dataclass_toml import load_toml
from training.config import (
    AugmentationConfig,
    DescriptorRecipe,
    FacesConfig,
    LandmarkRecipe,
    MatchingConfig,
    OptimiserConfig,
    PhaseConfig,
)
from training.crops.labelled_crops import LabelledCrops
from training.engine.processes import Processes
from training.recipes import find_recipe
from training.stages.descriptor_matching import (
    Views,
    inside,
    landmark_filters,
    match,
    matching_error,
    matching_loss,
    random_views,
)
from training.stages.descriptor_stage import build_descriptor_network, train_descriptors
from training.stages.starting_point import StartingPoint

CPU = Processes(torch.device("cpu"))
SIZE, STORED = 64, 96
MOVED = AugmentationConfig(flip=0.5, translation=0.05, scale=0.1, rotation_deg=20)
RECIPE = DescriptorRecipe(
    name="small",
    checkpoint_minutes=0,
    faces=FacesConfig(held_out=0.3),
    network=FaceNetworkConfig(input_size=128, heatmap_size=64, z_dim=16, width=0.125, skip_connections=True),
    augmentation=MOVED,
    matching=MatchingConfig(channels=16, places=32),
    optimiser=OptimiserConfig(batch_size=4, ema_decay=0.9),
    phase=PhaseConfig(epochs=3, warmup_steps=0),
)


def _ramps(count: int) -> Tensor:
    """Stored faces whose red grows to the right and whose green grows downwards, by a level a pixel."""
    along = torch.arange(STORED, dtype=torch.uint8)
    red, green = along.expand(STORED, STORED), along[:, None].expand(STORED, STORED)
    return torch.stack((red, green, torch.zeros_like(red))).expand(count, -1, -1, -1)


def _colours_at(images: Tensor, points: Tensor) -> Tensor:
    grid = ((points + 0.5) * (2 / images.shape[-1]) - 1).unsqueeze(1)
    return 255 * F.grid_sample(images, grid, align_corners=False).squeeze(2).transpose(1, 2)[..., :2]


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_a_place_shows_the_same_in_both_views(flip: float) -> None:
    views = random_views(_ramps(6), SIZE, 50, replace(MOVED, flip=flip), torch.Generator().manual_seed(3), CropRule())
    first, second = views.images.chunk(2)
    seen = inside(views)
    assert seen.float().mean() > 0.9
    there, found = (_colours_at(i, p)[seen] for i, p in ((first, views.first), (second, views.second)))
    torch.testing.assert_close(found, there, rtol=0, atol=0.6)
    assert (views.first - views.second).norm(dim=-1).mean() > 3  # they do differ
    rightwards = first[0, 0, SIZE // 2, -1] - first[0, 0, SIZE // 2, 0]
    assert (rightwards < 0) == (flip == 1.0)


def test_descriptors_of_the_place_match_exactly_and_those_of_nothing_do_not() -> None:
    """Colours of the ramps as descriptors: they tell the place, in this picture and in any other."""
    views = random_views(_ramps(4), SIZE, 40, replace(MOVED, flip=0.0), torch.Generator().manual_seed(4), CropRule())
    angles = 4 * views.images[:, :2]
    maps = torch.cat((angles.cos(), angles.sin()), dim=1)
    direct, exchanged = matching_error(match(maps, views, temperature=1e-3), views)
    assert direct < 0.5
    assert exchanged < 1.5
    good = sum(matching_loss(match(maps, views, temperature=1e-2), views, sigma=1.0))
    noise = torch.randn(maps.shape, generator=torch.Generator().manual_seed(5))
    bad = sum(matching_loss(match(noise, views, temperature=1e-2), views, sigma=1.0))
    assert good < 0.5 * bad


def test_a_place_outside_of_a_view_does_not_count() -> None:
    images = torch.rand(2, 3, 8, 8)
    first = torch.tensor([[[3.0, 3.0], [4.0, 2.0]]])
    second = torch.tensor([[[3.0, 3.0], [9.0, 2.0]]])
    views = Views(images, first, second)
    assert inside(views).tolist() == [[True, False]]
    maps = torch.rand(2, 4, 8, 8)
    only = Views(images, first[:, :1], second[:, :1])
    for a, b in zip(
        matching_loss(match(maps, views, 0.1), views, sigma=1.0),
        matching_loss(match(maps, only, 0.1), only, sigma=1.0),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("heatmap_size", [64, 128])
def test_a_last_layer_from_descriptors_compares_with_the_mean_one(heatmap_size: int) -> None:
    torch.manual_seed(2)
    shape = FaceNetworkConfig(16, 128, heatmap_size, z_dim=16, width=0.125, skip_connections=True)
    descriptors = FaceNetwork(shape).eval()
    scheme = scheme_from_names("two", ["left_eye", "right_eye"])
    points = torch.tensor([[[30.0, 50.0], [97.0, 50.0]], [[40.0, 60.0], [90.0, 52.0]]])
    visible = torch.tensor([[1.0, 1.0], [1.0, 0.0]])
    images = torch.randint(256, (2, 3, 128, 128), dtype=torch.uint8)
    crops = LabelledCrops(images, points, visible, scheme, 128, CropRule())
    filters = landmark_filters(descriptors, crops, temperature=0.1)

    network = FaceNetwork(replace(shape, num_landmarks=2)).eval()
    network.load_state_dict({k: v for k, v in descriptors.state_dict().items() if k != "head.lin.weight"}, strict=False)
    with torch.inference_mode():
        network.head.lin.weight.copy_(filters)
        shown = images.float() / 255
        both = torch.cat((shown, shown.flip(-1)))
        maps = descriptors(both)
        # Where each eye is to be seen, in the two faces and in the mirror.
        left = [(0, points[0, 0]), (1, points[1, 0]), (2, torch.tensor([127.0, 0]) + points[0, 1] * _MIRROR)]
        right = [(0, points[0, 1]), (2, torch.tensor([127.0, 0]) + points[0, 0] * _MIRROR)]
        right.append((3, torch.tensor([127.0, 0]) + points[1, 0] * _MIRROR))
        lengths = maps.norm(dim=1).mean()
        for number, places in enumerate((left, right)):
            found = torch.stack([_sampled(F.normalize(maps, dim=1)[image], place) for image, place in places])
            mean = F.normalize(F.normalize(found, dim=-1).sum(0), dim=0)
            expected = torch.einsum("d,bdhw->bhw", mean, maps) / (0.1 * lengths)
            torch.testing.assert_close(network(both)[:, number], expected, rtol=1e-3, atol=1e-3)


_MIRROR = torch.tensor([-1.0, 1.0])


def _sampled(maps: Tensor, place: Tensor) -> Tensor:
    grid = ((place + 0.5) * (2 / 128) - 1).view(1, 1, 1, 2)
    return F.grid_sample(maps[None], grid, padding_mode="border", align_corners=False).flatten()


def test_a_landmark_that_nobody_labelled_begins_with_nothing() -> None:
    descriptors = FaceNetwork(FaceNetworkConfig(16, 128, 64, z_dim=16, width=0.125))
    scheme = scheme_from_names("two", ["nose", "chin"])
    images = torch.randint(256, (1, 3, 128, 128), dtype=torch.uint8)
    crops = LabelledCrops(images, torch.full((1, 2, 2), 60.0), torch.tensor([[1.0, 0.0]]), scheme, 128, CropRule())
    filters = landmark_filters(descriptors, crops, temperature=0.1)
    assert filters[0].abs().max() > 0
    assert filters[1].abs().max() == 0


def test_a_run_leaves_descriptors_that_landmarks_start_from(sixteen_faces: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    start = tmp_path / "autoencoder.safetensors"
    save_autoencoder(start, TrainedAutoencoder("a", Autoencoder(AutoencoderConfig(128, 16, 0.125)), CropRule()))
    recipe = replace(RECIPE, start_from=start)
    path = train_descriptors(recipe, [sixteen_faces], tmp_path / "run", processes=CPU)
    assert path == tmp_path / "run/descriptors.safetensors"
    trained = load_descriptors(path)
    assert trained.network.config.num_landmarks == 16
    assert trained.provenance["training_faces"] + trained.provenance["held_out_faces"] == 16
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert 0 < lines[-1]["direct_percent"] < 100
    assert {"direct", "exchanged", "images_per_s", "lr"} <= set(lines[-2])

    landmarks = LandmarkRecipe("l", start_from=path, network=recipe.network)
    network = StartingPoint(landmarks).build_network(IBUG_68)
    known = trained.network.state_dict()
    for key, value in network.state_dict().items():
        assert torch.equal(value, known[key]) == (key != "head.lin.weight"), key
    points = torch.rand(1, 68, 2) * 100
    crops = LabelledCrops(
        torch.randint(256, (1, 3, 128, 128), dtype=torch.uint8), points, torch.ones(1, 68), IBUG_68, 128, CropRule()
    )
    begin = StartingPoint(landmarks)
    begin.start_last_layer(network, crops)
    expected_filters = landmark_filters(trained.network, crops, trained.temperature)
    assert torch.equal(network.state_dict()["head.lin.weight"], expected_filters)
    assert not StartingPoint(replace(landmarks, phases=(PhaseConfig(decoder=0),))).keeps_reconstructing
    kept = begin.kept_autoencoder
    assert kept is not None
    assert trained.autoencoder is not None
    assert torch.equal(kept.encoder.fc.weight, trained.autoencoder.encoder.fc.weight)
    wider = StartingPoint(replace(landmarks, network=replace(recipe.network, width=0.25))).build_network(IBUG_68).eval()
    expected = widen_network(trained.network, 0.25).eval()
    images = torch.rand(1, 3, 128, 128)
    torch.testing.assert_close(wider.encode(images), expected.encode(images), rtol=0, atol=1e-4)


def test_descriptors_can_be_taught_on(sixteen_faces: Path, tmp_path: Path) -> None:
    first = train_descriptors(RECIPE, [sixteen_faces], tmp_path / "first", processes=CPU)
    assert first is not None
    known = load_descriptors(first).network.state_dict()
    further = replace(RECIPE, start_from=first)
    network, _ = build_descriptor_network(further)
    for key, value in network.state_dict().items():
        assert torch.equal(value, known[key]), key
    with pytest.raises(FewmarkError, match="but the recipe asks for"):
        build_descriptor_network(replace(further, matching=replace(RECIPE.matching, channels=8)))


def test_a_resumed_run_ends_like_an_uninterrupted_one(sixteen_faces: Path, tmp_path: Path) -> None:
    whole = train_descriptors(RECIPE, [sixteen_faces], tmp_path / "whole", processes=CPU)
    answers = iter([False, False, True])
    run = tmp_path / "halves"
    assert train_descriptors(RECIPE, [sixteen_faces], run, processes=CPU, should_stop=lambda: next(answers)) is None
    halves = train_descriptors(RECIPE, [sixteen_faces], run, processes=CPU, resume=True)
    assert whole is not None
    assert halves is not None
    a, b = (load_descriptors(p).network.state_dict() for p in (whole, halves))
    for key, value in a.items():
        torch.testing.assert_close(b[key], value, rtol=0, atol=2e-3, msg=key)
    with pytest.raises(FewmarkError, match="holds a finished run"):
        train_descriptors(RECIPE, [sixteen_faces], run, processes=CPU)
    assert train_descriptors(RECIPE, [sixteen_faces], run, processes=CPU, resume=True) == halves


def test_training_matches_better_than_no_training(sixteen_faces: Path, tmp_path: Path) -> None:
    recipe = replace(RECIPE, phase=replace(RECIPE.phase, epochs=20))
    train_descriptors(recipe, [sixteen_faces], tmp_path / "run", processes=CPU)
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    losses = [line["direct"] for line in lines if "direct" in line]
    assert losses[-1] < 0.9 * losses[0]


def test_a_start_of_another_shape_or_crop_is_refused(tmp_path: Path) -> None:
    start = tmp_path / "autoencoder.safetensors"
    save_autoencoder(start, TrainedAutoencoder("a", Autoencoder(AutoencoderConfig(128, 16, 0.25)), CropRule()))
    with pytest.raises(FewmarkError, match="but the recipe asks for"):
        build_descriptor_network(replace(RECIPE, start_from=start))
    wide = replace(RECIPE, start_from=start, network=replace(RECIPE.network, width=0.25))
    with pytest.raises(FewmarkError, match="was trained on crops"):
        build_descriptor_network(replace(wide, crop=CropRule(margin=2.0)))
    with pytest.raises(FewmarkError, match="is a model"):
        build_descriptor_network(replace(RECIPE, start_from=Path("fast128")))
    with pytest.raises(FewmarkError, match="not descriptors"):
        load_descriptors(start)
    with pytest.raises(FewmarkError, match="no such file of descriptors"):
        load_descriptors(tmp_path / "none.safetensors")


def test_few_labels_can_start_from_the_shipped_recipe() -> None:
    recipe = load_toml(DescriptorRecipe, find_recipe(Path("match128")))
    few = load_toml(LandmarkRecipe, find_recipe(Path("few128")))
    assert recipe.network == few.network
    assert recipe.crop == few.crop
