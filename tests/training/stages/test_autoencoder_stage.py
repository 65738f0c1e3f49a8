"""Stage 1 on real faces: few steps, but the real networks, losses and files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
import torch

from models.autoencoder.autoencoder import Autoencoder, AutoencoderConfig
from models.crop_rule import CropRule
from models.errors import FewmarkError
from models.files.autoencoder_file import TrainedAutoencoder, load_autoencoder, save_autoencoder
from models.landmark_schemes import IBUG_68
from models.networks.interleaved.face_network import FaceNetworkConfig
from models.surgery.growing import grow_autoencoder
from tracker.files.dataclass_toml import load_toml
from training.config import (
    AdversarialOptimiserConfig,
    AugmentationConfig,
    AutoencoderLossConfig,
    AutoencoderRecipe,
    FacesConfig,
    LandmarkRecipe,
    LinearStartConfig,
)
from training.crops.random_crops import random_crops
from training.engine.processes import Processes
from training.evaluation.image_metrics import rmse
from training.faces import load_faces
from training.recipes import find_recipe
from training.stages.autoencoder_stage import build_autoencoder, measure, train_autoencoder
from training.stages.starting_point import StartingPoint

CPU = Processes(torch.device("cpu"))
CPU_RANDOM = torch.Generator()
SMALL = AutoencoderConfig(input_size=128, z_dim=16, width=0.125)
RECIPE = AutoencoderRecipe(
    name="small",
    checkpoint_minutes=0,
    network=SMALL,
    faces=FacesConfig(held_out=0.3),
    augmentation=AugmentationConfig(flip=0.5, rotation_deg=10, occlusion=0.3),
    loss=AutoencoderLossConfig(adversarial_from=0.5),
    optimiser=AdversarialOptimiserConfig(epochs=3, batch_size=4, learning_rate=1e-3),
)


def _metrics(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_run_leaves_autoencoder_recipe_metrics_samples_and_checkpoint(sixteen_faces: Path, tmp_path: Path) -> None:
    path = train_autoencoder(RECIPE, [sixteen_faces], tmp_path / "run", processes=CPU)
    assert path == tmp_path / "run/autoencoder.safetensors"
    trained = load_autoencoder(path)
    assert trained.autoencoder.config == SMALL
    assert trained.crop_rule == RECIPE.crop
    assert trained.provenance["training_faces"] + trained.provenance["held_out_faces"] == 16
    assert load_toml(AutoencoderRecipe, tmp_path / "run/recipe.toml") == RECIPE
    losses = _metrics(tmp_path / "run")[-2]
    assert {"reconstruction", "structural", "encoding", "adversarial", "image_discriminator"} <= set(losses)
    scores = _metrics(tmp_path / "run")[-1]
    assert 0 < scores["rmse"] < 255
    assert -1 <= scores["ssim"] <= 1
    grid = cv2.imread(str(tmp_path / "run/samples.png"))
    assert grid.shape[0] == 4 * 128
    assert not list((tmp_path / "run").glob("*.part"))


@pytest.mark.parametrize("linear_side", [0, 32])
def test_a_resumed_run_ends_like_an_uninterrupted_one(linear_side: int, sixteen_faces: Path, tmp_path: Path) -> None:
    recipe = replace(
        RECIPE, network=replace(SMALL, linear_side=linear_side), linear_start=LinearStartConfig(samples=60)
    )
    whole = train_autoencoder(recipe, [sixteen_faces], tmp_path / "whole", processes=CPU)
    answers = iter([False, False, True])
    run = tmp_path / "halves"
    assert train_autoencoder(recipe, [sixteen_faces], run, processes=CPU, should_stop=lambda: next(answers)) is None
    halves = train_autoencoder(recipe, [sixteen_faces], run, processes=CPU, resume=True)
    assert whole is not None
    assert halves is not None
    a, b = (load_autoencoder(p).autoencoder.state_dict() for p in (whole, halves))
    for key, value in a.items():
        torch.testing.assert_close(b[key], value, rtol=0, atol=2e-3, msg=key)
    with pytest.raises(FewmarkError, match="holds a finished run"):
        train_autoencoder(recipe, [sixteen_faces], run, processes=CPU)
    before = load_autoencoder(halves).provenance
    assert train_autoencoder(recipe, [sixteen_faces], run, processes=CPU, resume=True) == halves
    assert load_autoencoder(halves).provenance == before


def test_training_reconstructs_better_than_no_training(sixteen_faces: Path, tmp_path: Path) -> None:
    recipe = replace(RECIPE, optimiser=replace(RECIPE.optimiser, epochs=15, ema_decay=0.9))
    train_autoencoder(recipe, [sixteen_faces], tmp_path / "run", processes=CPU)
    losses = [line["reconstruction"] for line in _metrics(tmp_path / "run") if "reconstruction" in line]
    assert losses[-1] < 0.9 * losses[0]


def test_a_run_with_a_linear_code_starts_with_it_and_improves_on_it(sixteen_faces: Path, tmp_path: Path) -> None:
    network = replace(SMALL, z_dim=8, linear_side=32)
    settings = replace(RECIPE.optimiser, epochs=20, ema_decay=0.9)
    start = LinearStartConfig(samples=60)
    recipe = replace(RECIPE, network=network, linear_start=start, optimiser=settings, augmentation=AugmentationConfig())
    path = train_autoencoder(recipe, [sixteen_faces], tmp_path / "run", processes=CPU)
    assert path is not None
    trained = load_autoencoder(path).autoencoder
    faces = random_crops(
        load_faces([sixteen_faces], size=128, held_out=0.3).images, 128, AugmentationConfig(), CPU_RANDOM
    )
    assert trained.linear is not None
    linear = trained.linear.decode(trained.linear.encode(faces.images), 128)
    mean = faces.images.mean(dim=0, keepdim=True).expand_as(faces.images)
    learned = measure(trained, faces.images, CPU.device)["rmse"]
    assert learned < rmse(faces.images, linear).mean() < rmse(faces.images, mean).mean()


def test_a_landmark_run_refuses_a_linear_code(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_autoencoder(path, TrainedAutoencoder("a", Autoencoder(replace(SMALL, linear_side=32)), CropRule()))
    recipe = LandmarkRecipe(
        "b", start_from=path, network=FaceNetworkConfig(input_size=128, heatmap_size=64, z_dim=16, width=0.125)
    )
    with pytest.raises(FewmarkError, match=r"linear_side=32.* but the recipe asks for .*linear_side=0"):
        StartingPoint(recipe).build_network(IBUG_68)


def test_another_run_in_the_folder_is_not_overwritten(sixteen_faces: Path, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"precious")
    with pytest.raises(FewmarkError, match="unfinished run"):
        train_autoencoder(RECIPE, [sixteen_faces], tmp_path, processes=CPU)
    with pytest.raises(FewmarkError, match="not a readable checkpoint"):
        train_autoencoder(RECIPE, [sixteen_faces], tmp_path, processes=CPU, resume=True)
    assert (tmp_path / "checkpoint.pt").read_bytes() == b"precious"


def test_a_128_px_autoencoder_grows_to_256_px(tmp_path: Path) -> None:
    torch.manual_seed(0)
    small = Autoencoder(SMALL)
    save_autoencoder(tmp_path / "a.safetensors", TrainedAutoencoder("a", small, CropRule()))
    recipe = replace(RECIPE, start_from=tmp_path / "a.safetensors", network=replace(SMALL, input_size=256))
    grown = build_autoencoder(recipe)
    assert grown.config.input_size == 256
    torch.testing.assert_close(grown.encoder.layer3[0].conv1.weight, small.encoder.layer3[0].conv1.weight)
    reconstruction, z = grown.eval()(torch.rand(1, 3, 256, 256))
    assert reconstruction.shape == (1, 3, 256, 256)
    assert z.shape == (1, 16)
    with pytest.raises(FewmarkError, match="128 px"):
        grow_autoencoder(grown)
    with pytest.raises(FewmarkError, match="the recipe asks for"):
        build_autoencoder(replace(recipe, network=replace(SMALL, z_dim=8)))


@pytest.mark.parametrize("name", ["face128", "portrait128", "3fabrec-autoencoder128", "3fabrec-autoencoder256"])
def test_shipped_recipes_are_readable(name: str) -> None:
    assert load_toml(AutoencoderRecipe, find_recipe(Path(name))).name == name


def test_the_paper_recipe_has_the_paper_settings() -> None:
    recipe = load_toml(AutoencoderRecipe, find_recipe(Path("3fabrec-autoencoder128")))
    settings, loss = recipe.optimiser, recipe.loss
    assert (settings.epochs, settings.batch_size, settings.learning_rate) == (50, 100, 2e-5)
    assert (settings.beta1, settings.beta2, settings.schedule) == (0.0, 0.999, "constant")
    assert (loss.reconstruction, loss.structural, loss.encoding, loss.adversarial) == (1, 60, 1, 1)
    assert recipe.network == AutoencoderConfig(128, 99, 1.0)
