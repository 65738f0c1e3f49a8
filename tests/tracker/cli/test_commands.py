"""The command as a whole: help, version, exit codes, ``fewmark doctor`` and ``fewmark models``."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from models.files.hashing import file_sha256
from models.registry import AUTOENCODER, DEFAULT_MODEL, MODELS
from tracker.backends import BACKENDS
from tracker.cli import app, console
from tracker.files.dataclass_toml import load_toml
from tracker.overlays import OVERLAYS
from training.config import AutoencoderRecipe, DescriptorRecipe, LandmarkRecipe
from training.datasets import DATASETS
from training.recipes import find_recipe

COMMANDS = (
    *("track", "demo", "bench", "doctor", "models", "train", "evaluate", "evaluate-video", "calibrate"),
    *("prepare-faces", "label-faces", "import-3fabrec", "attach-autoencoder", "live", "open"),
)


def test_help_lists_every_command_in_whole_sentences() -> None:
    run = CliRunner().invoke(app, ["--help"])
    assert run.exit_code == 0
    listed = run.stdout.partition("Commands:")[2]
    assert all(f"  {name} " in listed for name in COMMANDS)
    assert "..." not in listed


@pytest.mark.parametrize("command", [["track"], ["demo"], ["doctor"], ["models"], ["train", "landmarks"]])
def test_every_command_has_help(command: list[str]) -> None:
    run = CliRunner().invoke(app, [*command, "--help"])
    assert run.exit_code == 0
    assert "Usage: " in run.stdout


def test_the_help_of_track_names_every_overlay() -> None:
    run = CliRunner().invoke(app, ["track", "--help"])
    told = run.stdout.partition("--overlays")[2].partition("[default")[0]
    assert set(OVERLAYS) <= set(re.findall(r"\w+", told))


def test_help_names_every_recipe() -> None:
    named: dict[str, set[str]] = {}
    for command in ("autoencoder", "descriptors", "landmarks", "few-shot"):
        run = CliRunner().invoke(app, ["train", command, "--help"])
        arguments = re.sub(r"-\s+", "-", run.stdout.partition("Arguments:")[2].partition("Options:")[0])
        named[command] = set(re.findall(r"[\w-]+", arguments.partition("one:")[2].partition(".")[0]))
    kinds = {"autoencoder": AutoencoderRecipe, "descriptors": DescriptorRecipe, "landmarks": LandmarkRecipe}
    for command, kind in kinds.items():
        for name in named[command]:
            assert load_toml(kind, find_recipe(Path(name))).name == name
    shipped = {path.stem for path in find_recipe(Path("fast128")).parent.glob("*.toml")}
    assert named["autoencoder"] | named["descriptors"] | named["landmarks"] == shipped
    assert named["few-shot"] == named["landmarks"]


@pytest.mark.parametrize("command", [["evaluate"], ["calibrate"], ["train", "landmarks"], ["train", "few-shot"]])
def test_help_names_every_data_set(command: list[str]) -> None:
    run = CliRunner().invoke(app, [*command, "--help"])
    told = run.stdout.partition("--dataset")[2].partition("  --")[0]
    assert set(DATASETS) == set(re.findall(r"[\w-]+", told.partition(":")[2].partition(".")[0]))


@pytest.mark.parametrize("command", [["live"], ["open", "."]])
def test_the_window_is_not_opened_with_a_model_that_there_is_not(command: list[str]) -> None:
    run = CliRunner().invoke(app, [*command, "--model", "none.safetensors"])
    assert run.exit_code == 2
    assert "none.safetensors: neither a shipped model (" in run.stderr


def test_labels_are_read_as_the_data_set_that_is_named(tmp_path: Path) -> None:
    run = CliRunner().invoke(app, ["train", "landmarks", "teach128", "--dataset", "csv", "--data", str(tmp_path)])
    assert run.exit_code == 2
    assert "no .csv file here" in run.stderr
    arguments = ["train", "few-shot", "few128", "--dataset", "nothing", "--data", str(tmp_path)]
    run = CliRunner().invoke(app, arguments)
    assert run.exit_code == 2
    assert "dataset 'nothing' is unknown; choose one of 300w, " in run.stderr


@pytest.mark.parametrize(("command", "recipe"), [("autoencoder", "face128"), ("descriptors", "match128")])
def test_a_run_starts_from_what_the_command_names(tmp_path: Path, command: str, recipe: str) -> None:
    arguments = ["train", command, recipe, "--faces", tmp_path, "--start-from", "mine.safetensors", "--out", tmp_path]
    run = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert run.exit_code == 2
    assert "mine.safetensors: no such " in run.stderr


@pytest.mark.parametrize("command", [["--version"], ["track", "--help"], ["models"]], ids=" ".join)
def test_what_computes_nothing_needs_neither_torch_nor_opencv(command: list[str]) -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from tracker.cli import app;"
        f"run = CliRunner().invoke(app, {command}); assert run.exit_code == 0, run.output;"
        "print({'torch', 'numpy', 'cv2', 'av', 'mediapipe', 'PyQt6', 'matplotlib'} & sys.modules.keys())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.stdout.strip() == "set()", run.stderr


def test_the_version_is_the_installed_one() -> None:
    try:
        version = importlib.metadata.version("fewmark")
    except importlib.metadata.PackageNotFoundError:
        version = "unknown"
    run = CliRunner().invoke(app, ["--version"])
    assert (run.exit_code, run.stdout) == (0, f"fewmark {version}\n")


def test_ctrl_c_is_code_130_in_every_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("models.registry.ShippedFile.check", interrupted)
    run = CliRunner().invoke(app, ["models"])
    assert run.exit_code == 130
    assert run.stderr == "error: stopped\n"


def test_a_fault_of_the_program_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("models.registry.ShippedFile.check", faulty)
    assert isinstance(CliRunner().invoke(app, ["models"]).exception, ZeroDivisionError)


def test_texts_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    text = r"C:\clips\[red]a[/red] :smile: [1].mp4 " + "long " * 60
    for show in (console.emit, console.say, console.warn, console.fail):
        show(text)
    shown = capsys.readouterr()
    assert shown.out == f"{text}\n"
    assert shown.err == f"{text}\nwarning: {text}\nerror: {text}\n"


def test_the_doctor_finds_what_tracking_needs() -> None:
    run = CliRunner().invoke(app, ["doctor"])
    assert run.exit_code == 0, run.output
    for subject in ("Python", "torch", "GPU:", "model fine256:", "detector short_range:", "camera:", "(chosen)"):
        assert subject in run.stdout
    assert "missing" not in run.stdout
    assert all(backend in run.stdout for backend in BACKENDS)


def test_the_doctor_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("models.registry.WEIGHTS_FOLDER", tmp_path)
    (tmp_path / "face_detection_short_range.tflite").write_text("not a model")
    run = CliRunner().invoke(app, ["doctor", "--model-dir", str(tmp_path)])
    assert run.exit_code == 2
    assert "missing model fine256: " in run.stdout
    assert "missing detector short_range: " in run.stdout
    assert "note    autoencoder portrait128: no reconstructions: " in run.stdout
    assert run.stderr == "error: something that tracking needs is missing: see above\n"


def test_the_doctor_believes_no_remembered_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def told(path: Path) -> str:
        read.append(path)
        return file_sha256(path)

    for entry in MODELS.values():
        entry.check()
    monkeypatch.setattr("models.files.hashing.file_sha256", told)
    CliRunner().invoke(app, ["doctor"])
    assert {entry.weights for entry in (*MODELS.values(), AUTOENCODER)} <= set(read)


def test_the_command_remembers_hashes_in_the_cache(empty_cache: Path) -> None:
    subprocess.run([sys.executable, "-m", "tracker", "models"], capture_output=True, check=True)
    (store,) = empty_cache.rglob("hashes.json")
    assert all(entry.sha256 in store.read_text() for entry in (*MODELS.values(), AUTOENCODER))


def test_models_are_listed_with_their_facts() -> None:
    run = CliRunner().invoke(app, ["models"])
    assert run.exit_code == 0
    facts = ("300w-68, 68 points", "NME ", "fast128.safetensors", "portrait128", "SSIM ")
    for fact in (f"{DEFAULT_MODEL} (default)", *facts):
        assert fact in run.stdout


def test_a_model_is_listed_where_the_autoencoder_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.registry.AUTOENCODER", replace(AUTOENCODER, name="absent"))
    run = CliRunner().invoke(app, ["models"])
    assert run.exit_code == 2
    assert run.stdout.count("NME ") == len(MODELS)
    assert re.search(r"^error: \S+absent.safetensors: the weights of absent are missing", run.stderr)
