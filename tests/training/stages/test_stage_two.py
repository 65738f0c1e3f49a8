"""Stage 2: landmarks on top of an autoencoder, in phases, with unlabelled faces, with few labelled ones."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from models.autoencoder.autoencoder import Autoencoder, AutoencoderConfig
from models.crop_rule import CropRule
from models.errors import FewmarkError
from models.files.autoencoder_file import TrainedAutoencoder, load_autoencoder, save_autoencoder
from models.files.model_file import load_model
from models.landmark_schemes import IBUG_68, scheme_from_names
from models.networks.interleaved.face_network import FaceNetwork, FaceNetworkConfig
from models.registry import open_model
from tracker.cli import app
from tracker.files.dataclass_toml import dump_toml, load_toml
from training.benchmarks.few_shot import draw, parse_sizes, run_few_shot
from training.config import (
    AugmentationConfig,
    LandmarkRecipe,
    OptimiserConfig,
    PhaseConfig,
    UnlabelledConfig,
)
from training.engine.processes import Processes
from training.engine.schedule import phase_ends
from training.recipes import find_recipe
from training.stages.landmark_stage import read_faces, train_landmarks
from training.stages.starting_point import StartingPoint
from training.stages.teacher import Teacher

NETWORK = FaceNetworkConfig(input_size=128, heatmap_size=64, z_dim=16, width=0.25, skip_connections=True)
HEAD_ONLY = PhaseConfig(epochs=0.5, head=1e-3, encoder=0, decoder=0, warmup_steps=0)
HEAD_AND_ENCODER = PhaseConfig(epochs=0.5, head=1e-4, encoder=2e-5, decoder=0, warmup_steps=0)
CPU = Processes(torch.device("cpu"))
RECIPE = LandmarkRecipe(
    name="two-stages",
    checkpoint_minutes=60,
    network=NETWORK,
    optimiser=OptimiserConfig(batch_size=4),
    phases=(HEAD_ONLY, HEAD_AND_ENCODER),
)


@pytest.fixture(scope="module")
def autoencoder_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(5)
    path = tmp_path_factory.mktemp("stage1") / "autoencoder.safetensors"
    save_autoencoder(path, TrainedAutoencoder("a", Autoencoder(AutoencoderConfig(128, 16, 0.25)), CropRule()))
    return path


@pytest.fixture(scope="module")
def unlabelled(twelve_labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    for path in twelve_labelled.rglob("*.jpg"):
        image = cv2.resize(cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR), (128, 128))
        cv2.imencode(".png", image)[1].tofile(folder / f"{path.stem}.png")
    return folder


def _state(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in network.state_dict().items()}


def test_frozen_parts_stay_as_they_were(autoencoder_file: Path, twelve_labelled: Path, tmp_path: Path) -> None:
    recipe = replace(RECIPE, start_from=autoencoder_file)
    before = _state(StartingPoint(recipe).build_network(IBUG_68))
    path = train_landmarks(recipe, twelve_labelled, tmp_path / "run", processes=CPU)
    assert path is not None
    after = load_model(path).network.state_dict()
    changed = {key.split(".")[0] for key, value in before.items() if not torch.allclose(value, after[key], atol=1e-3)}
    assert "head" in changed
    for key, value in before.items():
        if key.startswith("decoder."):  # its batch statistics too
            torch.testing.assert_close(after[key], value, rtol=1e-3, atol=1e-3, msg=key)
    assert load_model(path).reconstructs
    provenance = load_model(path).provenance["recipe"]
    assert provenance["start_from"] == "autoencoder.safetensors"


def test_a_model_whose_decoder_learned_landmarks_carries_its_autoencoder_along(
    autoencoder_file: Path, twelve_labelled: Path, tmp_path: Path
) -> None:
    recipe = replace(RECIPE, start_from=autoencoder_file, phases=(PhaseConfig(epochs=3, decoder=1e-3, warmup_steps=0),))
    path = train_landmarks(recipe, twelve_labelled, tmp_path / "run", processes=CPU)
    assert path is not None
    again = train_landmarks(replace(recipe, start_from=path), twelve_labelled, tmp_path / "again", processes=CPU)
    assert again is not None
    before = load_autoencoder(autoencoder_file).autoencoder.state_dict()
    for model in (load_model(path), load_model(again)):
        assert model.reconstructs
        assert model.autoencoder is not None
        after = model.autoencoder.state_dict()
        assert all(torch.allclose(value, after[key], atol=1e-3, rtol=1e-3) for key, value in before.items())
        assert not torch.allclose(model.network.decoder.fc.weight, before["decoder.fc.weight"], atol=1e-4)


def test_the_command_names_the_model_after_the_runs_folder(twelve_labelled: Path, tmp_path: Path) -> None:
    dump_toml(replace(RECIPE, phases=(PhaseConfig(epochs=0.1, warmup_steps=0),)), tmp_path / "small.toml")
    folder = tmp_path / "my points"
    arguments = [
        "train",
        "landmarks",
        tmp_path / "small.toml",
        "--data",
        twelve_labelled,
        "--out",
        folder,
        "--device",
        "cpu",
    ]
    run = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert run.exit_code == 0, run.output
    assert load_model(folder / "model.safetensors").name == "my points"


@pytest.mark.parametrize("command", [["landmarks"], ["few-shot", "--sizes", "1"]])
def test_a_run_starts_from_what_the_command_names(twelve_labelled: Path, tmp_path: Path, command: list[str]) -> None:
    dump_toml(RECIPE, tmp_path / "small.toml")
    arguments = [*command, tmp_path / "small.toml", "--data", twelve_labelled, "--out", tmp_path / "run"]
    run = CliRunner().invoke(app, ["train", *map(str, arguments), "--start-from", "mine.safetensors"])
    assert run.exit_code == 2
    assert "mine.safetensors: no such " in run.stderr


def test_phases_follow_each_other() -> None:
    phases = (PhaseConfig(epochs=2), PhaseConfig(epochs=0.01), PhaseConfig(epochs=1, min_steps=50))
    assert phase_ends(phases, steps_per_epoch=10) == [20, 21, 71]


def test_new_landmarks_start_with_all_that_a_shipped_model_knows_but_the_last_layer() -> None:
    recipe = load_toml(LandmarkRecipe, find_recipe(Path("teach128")))
    known = open_model("fast128").network
    for scheme in (scheme_from_names("two", ["left_pupil", "right_pupil"]), IBUG_68):
        network = StartingPoint(recipe).build_network(scheme)
        for part in ("encoder", "decoder", "head.t1", "head.skips"):
            assert all(
                torch.equal(value, known.get_submodule(part).state_dict()[key])
                for key, value in network.get_submodule(part).state_dict().items()
            ), part
        assert network.state_dict()["head.lin.weight"].shape[0] == scheme.num_points
    assert torch.equal(network.state_dict()["head.lin.weight"], known.state_dict()["head.lin.weight"])


def test_a_start_of_128_px_grows_where_the_recipe_asks_for_256(autoencoder_file: Path) -> None:
    recipe = load_toml(LandmarkRecipe, find_recipe(Path("teach128")))
    known = open_model("fast128").network.state_dict()
    network = StartingPoint(replace(recipe, network=replace(recipe.network, input_size=256))).build_network(IBUG_68)
    assert network.config.input_size == 256
    assert all(torch.equal(value, network.state_dict()[key]) for key, value in known.items())
    grown = StartingPoint(
        replace(RECIPE, start_from=autoencoder_file, network=replace(NETWORK, input_size=256))
    ).build_network(IBUG_68)
    learned = load_autoencoder(autoencoder_file).autoencoder.encoder.fc.weight
    torch.testing.assert_close(grown.encoder.fc.weight, learned)


def test_a_start_of_another_shape_or_crop_is_refused(autoencoder_file: Path, tmp_path: Path) -> None:
    with pytest.raises(FewmarkError, match="the recipe asks for"):
        StartingPoint(replace(RECIPE, start_from=autoencoder_file, network=replace(NETWORK, width=0.5))).build_network(
            IBUG_68
        )
    with pytest.raises(FewmarkError, match="was trained on crops"):
        StartingPoint(replace(RECIPE, start_from=autoencoder_file, crop=CropRule(margin=2.0))).build_network(IBUG_68)
    with pytest.raises(FewmarkError, match="no such file of an autoencoder"):
        StartingPoint(replace(RECIPE, start_from=tmp_path / "none.safetensors")).build_network(IBUG_68)


def test_what_keeps_reconstructing(autoencoder_file: Path) -> None:
    assert StartingPoint(replace(RECIPE, start_from=autoencoder_file)).keeps_reconstructing
    assert not StartingPoint(RECIPE).keeps_reconstructing
    decoder_trained = replace(RECIPE, start_from=autoencoder_file, phases=(PhaseConfig(),))
    assert not StartingPoint(decoder_trained).keeps_reconstructing
    assert StartingPoint(replace(decoder_trained, reconstruction_weight=0.01)).keeps_reconstructing


@pytest.mark.parametrize(("num_itls", "parameters"), [(4, 881_000), (3, 291_000), (2, 143_000), (1, 106_000)])
def test_fewer_itls_have_the_parameters_of_table_7(num_itls: int, parameters: int) -> None:
    network = FaceNetwork(FaceNetworkConfig(num_landmarks=68, num_itls=num_itls))
    assert sum(p.numel() for p in network.head.parameters()) == pytest.approx(parameters, rel=5e-3)


def test_the_teacher_labels_follow_the_augmentation(unlabelled: Path) -> None:
    """A teacher that sees a spot instead of a face: where the student's crop shows it, its label must lie."""
    settings = UnlabelledConfig(roots=(unlabelled,), weight=1.0, batch_size=6, min_confidence=0.0)
    augmentation = AugmentationConfig(flip=0.5, translation=0.05, scale=0.1, rotation_deg=20)
    recipe = replace(RECIPE, unlabelled=settings, augmentation=augmentation)
    teacher = Teacher(recipe, IBUG_68)
    network = StartingPoint(recipe).build_network(IBUG_68).eval()
    a, b = (teacher.batch(7, network, torch.device("cpu")) for _ in range(2))
    torch.testing.assert_close(a.images, b.images)
    torch.testing.assert_close(a.points, b.points)
    assert a.images.shape == (6, 3, 128, 128)
    assert a.points.shape == (6, 68, 2)
    plain = replace(recipe, augmentation=AugmentationConfig())
    direct = Teacher(plain, IBUG_68).batch(7, network, torch.device("cpu"))
    seen, mirrored = (network.locate(images).points for images in (direct.images, direct.images.flip(-1)))
    mirrored = mirrored[:, torch.tensor(IBUG_68.mirror_permutation)] * torch.tensor([-1.0, 1.0]) + torch.tensor(
        [127.0, 0]
    )
    torch.testing.assert_close((seen + mirrored) / 2, direct.points, atol=1e-2, rtol=0)


def test_unlabelled_faces_and_reconstruction_train_along(
    autoencoder_file: Path, twelve_labelled: Path, unlabelled: Path, tmp_path: Path
) -> None:
    recipe = replace(
        RECIPE,
        start_from=autoencoder_file,
        reconstruction_weight=0.01,
        unlabelled=UnlabelledConfig(roots=(unlabelled,), weight=0.5, batch_size=4, from_step=1, min_confidence=0.0),
    )
    path = train_landmarks(recipe, twelve_labelled, tmp_path / "run", processes=CPU)
    assert path is not None
    assert load_model(path).provenance["unlabelled_faces"] == 12
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert all(np.isfinite(line["loss"]) for line in lines if "loss" in line)


def test_with_what_the_average_learned_of_faces_a_resumed_run_ends_like_an_uninterrupted_one(
    twelve_labelled: Path, unlabelled: Path, tmp_path: Path
) -> None:
    """The prior is fitted at step 1 and used until the end: a run that is resumed at step 2 must know it."""
    settings = UnlabelledConfig(None, (unlabelled,), 1.0, 4, from_step=1, min_confidence=0.0, shape_faces=20)
    recipe = replace(RECIPE, unlabelled=settings, phases=(PhaseConfig(epochs=1.5, warmup_steps=0),))
    whole = train_landmarks(recipe, twelve_labelled, tmp_path / "whole", processes=CPU)
    answers, parts = iter([False, True]), tmp_path / "parts"
    assert train_landmarks(recipe, twelve_labelled, parts, processes=CPU, should_stop=lambda: next(answers)) is None
    resumed = train_landmarks(recipe, twelve_labelled, parts, resume=True, processes=CPU)
    without = replace(recipe, unlabelled=replace(settings, shape_faces=0))
    plain = train_landmarks(without, twelve_labelled, tmp_path / "plain", processes=CPU)
    assert whole is not None
    assert resumed is not None
    assert plain is not None
    a, b, c = (load_model(path).network.head.lin.weight for path in (whole, resumed, plain))
    torch.testing.assert_close(a, b, atol=1e-4, rtol=0)
    assert not torch.allclose(a, c, atol=1e-4, rtol=0)
    assert load_model(whole).shape_prior is not None
    assert load_model(whole).label_offset == pytest.approx(load_model(resumed).label_offset, abs=1e-4)
    assert load_model(plain).shape_prior is None


def test_a_decoder_that_is_passed_twice_keeps_its_batch_statistics(
    autoencoder_file: Path, twelve_labelled: Path, tmp_path: Path
) -> None:
    recipe = replace(
        RECIPE,
        start_from=autoencoder_file,
        reconstruction_weight=0.01,
        phases=(PhaseConfig(epochs=1, warmup_steps=0),),
    )
    before = _state(StartingPoint(recipe).build_network(IBUG_68))
    path = train_landmarks(recipe, twelve_labelled, tmp_path / "run", processes=CPU)
    assert path is not None
    after = load_model(path).network.state_dict()
    for key in (k for k in before if k.startswith("decoder.") and "running" in k):
        torch.testing.assert_close(after[key], before[key], rtol=1e-2, atol=1e-2, msg=key)
    weight = "decoder.layer3.0.conv2.weight"
    assert not torch.allclose(before[weight], after[weight], atol=1e-3)


def test_few_shot_runs_once_and_goes_on_where_it_stopped(twelve_labelled: Path, tmp_path: Path) -> None:
    recipe = replace(RECIPE, phases=(PhaseConfig(epochs=1, warmup_steps=0),))
    answers = iter([False, True])
    stopped = run_few_shot(
        recipe, twelve_labelled, tmp_path, sizes=(1, 3), runs=2, processes=CPU, should_stop=lambda: next(answers, False)
    )
    rows = stopped or run_few_shot(recipe, twelve_labelled, tmp_path, sizes=(1, 3), runs=2, processes=CPU)
    assert rows is not None
    assert [(row.size, len(row.nme_percent)) for row in rows] == [(1, 2), (3, 2)]
    assert rows[1].mean > 0
    table = json.loads((tmp_path / "few_shot.json").read_text())
    assert table[0]["faces"] == 1
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("result.json")}
    again = run_few_shot(recipe, twelve_labelled, tmp_path, sizes=(1, 3), runs=2, processes=CPU)
    assert again == rows
    assert times == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("result.json")}
    more = run_few_shot(recipe, twelve_labelled, tmp_path, sizes=(2,), runs=1, processes=CPU)
    assert more is not None
    assert [(row.size, row.nme_percent) for row in more if row.size != 2] == [(r.size, r.nme_percent) for r in rows]
    assert [row["faces"] for row in json.loads((tmp_path / "few_shot.json").read_text())] == [1, 2, 3]
    with pytest.raises(FewmarkError, match="another recipe"):
        run_few_shot(replace(recipe, seed=9), twelve_labelled, tmp_path, sizes=(1,), runs=1)
    elsewhere = shutil.copytree(twelve_labelled, tmp_path / "elsewhere")
    with pytest.raises(FewmarkError, match="of other data"):
        run_few_shot(recipe, elsewhere, tmp_path, sizes=(1,), runs=1)
    with pytest.raises(FewmarkError, match="100 faces are asked for"):
        run_few_shot(recipe, twelve_labelled, tmp_path, sizes=(100,), runs=1)


def test_smaller_draws_are_part_of_larger_ones(twelve_labelled: Path) -> None:
    faces, _ = read_faces(RECIPE, twelve_labelled, print)
    small, large = (draw(faces, size, seed=4) for size in (3, 7))
    assert small == large[:3]
    assert draw(faces, 3, seed=5) != small
    assert len(draw(faces, "all", seed=4)) == len(faces)


def test_sizes_are_parsed() -> None:
    assert parse_sizes("1, 10,all") == (1, 10, "all")
    with pytest.raises(FewmarkError, match="'ten'"):
        parse_sizes("1,ten")
