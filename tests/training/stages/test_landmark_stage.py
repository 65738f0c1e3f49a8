"""The training loop on real faces: few steps, but the real network, data and files."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models.errors import FewmarkError
from models.files.model_file import load_model
from models.landmark_schemes import scheme_from_names
from models.networks.interleaved.face_network import FaceNetworkConfig
from tracker.files.dataclass_toml import dump_toml, load_toml
from training.config import (
    AugmentationConfig,
    AutoencoderRecipe,
    DescriptorRecipe,
    LandmarkRecipe,
    OptimiserConfig,
    PhaseConfig,
)
from training.engine.precision import resolve_precision
from training.engine.processes import Processes
from training.engine.schedule import learning_rate_factor
from training.engine.seeding import face_numbers
from training.engine.training_state import moving_average
from training.recipes import find_recipe
from training.stages.landmark_stage import read_faces, train_landmarks, train_on_faces

CPU = Processes(torch.device("cpu"))
RECIPE = LandmarkRecipe(
    name="tiny",
    checkpoint_minutes=0,
    network=FaceNetworkConfig(input_size=128, heatmap_size=64, width=0.25, skip_connections=True),
    optimiser=OptimiserConfig(batch_size=4),
    phases=(PhaseConfig(epochs=1.5, warmup_steps=2),),
)


def test_a_run_leaves_model_recipe_metrics_and_checkpoint(twelve_labelled: Path, tmp_path: Path) -> None:
    path = train_landmarks(RECIPE, twelve_labelled, tmp_path / "run", processes=CPU)
    assert path == tmp_path / "run/model.safetensors"
    model = load_model(path)
    assert model.scheme.name == "300w-68"
    assert model.crop_rule == RECIPE.crop
    assert not model.reconstructs
    assert model.provenance["training_faces"] == 11
    assert model.provenance["validation_faces"] == 1
    assert load_toml(LandmarkRecipe, tmp_path / "run/recipe.toml") == RECIPE
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 4
    assert any("nme_percent" in line for line in lines)
    assert not list((tmp_path / "run").glob("*.part"))


def test_a_photo_that_cannot_be_read_is_named(
    twelve_labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(twelve_labelled, tmp_path / "300w")
    photo = sorted((tmp_path / "300w/helen/trainset").glob("*.jpg"))[3]
    photo.write_bytes(photo.read_bytes()[:2000])  # its head, by which data sets are read, is whole
    path = train_landmarks(RECIPE, tmp_path / "300w", tmp_path / "run", processes=CPU)
    assert path is not None
    assert load_model(path).provenance["training_faces"] == 10
    told = capsys.readouterr()
    assert f"skipped {photo}" in told.err
    assert not told.out  # there stand results


def test_flipping_needs_to_know_which_points_change_places(twelve_labelled: Path, tmp_path: Path) -> None:
    scheme = scheme_from_names("numbered", [str(i) for i in range(68)])
    train = [replace(sample, scheme=scheme) for sample in read_faces(RECIPE, twelve_labelled, print)[0]]
    flipping = replace(RECIPE, augmentation=AugmentationConfig(flip=0.5))
    with pytest.raises(FewmarkError, match=r"flip = 0\.5, but nobody says which points of scheme numbered"):
        train_on_faces(flipping, train, [], tmp_path / "run", processes=CPU)
    assert not (tmp_path / "run").exists()


def test_a_resumed_run_ends_like_an_uninterrupted_one(twelve_labelled: Path, tmp_path: Path) -> None:
    whole = train_landmarks(RECIPE, twelve_labelled, tmp_path / "whole", processes=CPU)
    answers = iter([False, True])
    parts = tmp_path / "parts"
    assert train_landmarks(RECIPE, twelve_labelled, parts, processes=CPU, should_stop=lambda: next(answers)) is None
    assert not (parts / "model.safetensors").exists()
    with pytest.raises(FewmarkError, match="holds an unfinished run"):
        train_landmarks(RECIPE, twelve_labelled, parts, processes=CPU)
    resumed = train_landmarks(RECIPE, twelve_labelled, parts, resume=True, processes=CPU)
    assert whole is not None
    assert resumed is not None
    expected = load_model(whole).network.state_dict()
    for key, value in load_model(resumed).network.state_dict().items():
        torch.testing.assert_close(value, expected[key], atol=2e-3, rtol=2e-3)


def test_a_finished_run_is_neither_lost_nor_spoiled(twelve_labelled: Path, tmp_path: Path) -> None:
    train_landmarks(RECIPE, twelve_labelled, tmp_path / "[run]", processes=CPU)
    with pytest.raises(FewmarkError, match="holds a finished run; pass another --out"):
        train_landmarks(RECIPE, twelve_labelled, tmp_path / "[run]", processes=CPU)
    before = load_model(tmp_path / "[run]/model.safetensors").provenance
    again = train_landmarks(RECIPE, twelve_labelled, tmp_path / "[run]", resume=True, processes=CPU)
    assert again is not None
    assert load_model(again).provenance == before


def test_nothing_to_resume_is_an_error(twelve_labelled: Path, tmp_path: Path) -> None:
    with pytest.raises(FewmarkError, match="nothing to resume"):
        train_landmarks(RECIPE, twelve_labelled, tmp_path, resume=True)


@pytest.mark.slow
def test_four_faces_can_be_learned_by_heart(twelve_labelled: Path, tmp_path: Path) -> None:
    optimiser = OptimiserConfig(batch_size=4, ema_decay=0.9)
    phases = (PhaseConfig(epochs=60, warmup_steps=5),)
    recipe = replace(RECIPE, checkpoint_minutes=60, optimiser=optimiser, phases=phases)
    train_landmarks(recipe, twelve_labelled, tmp_path / "run", processes=CPU)
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses[-1] < 0.75 * losses[0]


def test_a_loss_that_is_no_number_ends_the_run(twelve_labelled: Path, tmp_path: Path) -> None:
    phases = (PhaseConfig(epochs=60, head=1e30, encoder=1e30, decoder=1e30, warmup_steps=0),)
    recipe = replace(RECIPE, phases=phases, network=replace(RECIPE.network, width=0.125))
    with pytest.raises(FewmarkError, match="since step 0 the loss is no number; start again with smaller"):
        train_landmarks(recipe, twelve_labelled, tmp_path / "run", processes=CPU)
    assert not (tmp_path / "run/model.safetensors").exists()


def test_every_epoch_shows_every_sample_once_and_can_be_entered_midway() -> None:
    whole = torch.cat(list(face_numbers(10, 4, 3, range(10)))).tolist()
    epochs = [whole[start : start + 10] for start in range(0, 40, 10)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4
    assert torch.cat(list(face_numbers(10, 4, 3, range(6, 10)))).tolist() == whole[24:]


def test_the_learning_rate_rises_and_falls() -> None:
    factors = [learning_rate_factor(step, 10, 100) for step in range(101)]
    assert factors[0] == pytest.approx(0.1)
    assert max(factors) == pytest.approx(1)
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert factors[-1] == pytest.approx(0, abs=1e-9)


def test_the_moving_average_forgets_its_start() -> None:
    update = moving_average(0.99)
    averaged, current = [torch.full((3,), 100.0)], [torch.ones(3)]
    for count in range(60):
        update(averaged, current, torch.tensor(count))
    assert averaged[0].max() < 1.01
    counters = [torch.tensor(0)]
    update(counters, [torch.tensor(7)], torch.tensor(5))
    assert counters[0] == 7


def test_shipped_recipes_are_valid() -> None:
    folder = find_recipe(Path("skip128")).parent
    for path in folder.glob("*.toml"):
        text = path.read_text()
        others = DescriptorRecipe if "[matching]" in text else AutoencoderRecipe
        kind = LandmarkRecipe if "[[phases]]" in text else others
        assert load_toml(kind, path).name == path.stem


def test_an_unknown_recipe_names_the_shipped_ones() -> None:
    with pytest.raises(FewmarkError, match="skip128"):
        find_recipe(Path("nothing"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("nme = 3", "unknown key 'nme'.*did you mean 'name'"),
        ('name = "a"\n[network]\nflavour = 1', "unknown key 'flavour'; known here: input_size"),
        ("seed = 1", "'name' is missing"),
        ('name = "a"\nseed = "one"', "seed: int is expected"),
        ('name = "a"\n[loss]\nname = "hinge"', "'hinge' is not one of"),
        ('name = "a"\nloss = 1', "a table is expected"),
        ("name = ", "not a readable TOML file"),
    ],
)
def test_a_bad_recipe_says_which_key(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(FewmarkError, match=problem):
        load_toml(LandmarkRecipe, path)


def test_recipes_survive_the_way_through_toml(tmp_path: Path) -> None:
    dump_toml(RECIPE, tmp_path / "r.toml")
    assert load_toml(LandmarkRecipe, tmp_path / "r.toml") == RECIPE


def test_precision_fits_the_device() -> None:
    cpu = torch.device("cpu")
    assert resolve_precision("auto", cpu) in ("fp32", "bf16")
    assert resolve_precision("bf16", cpu) == "bf16"
    with pytest.raises(FewmarkError, match="needs a GPU"):
        resolve_precision("fp16", cpu)
