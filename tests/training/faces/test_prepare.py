"""Real faces to shards: the same whatever the number of workers, resumable, nothing written by halves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest
import typer.main
from typer.testing import CliRunner

from models.errors import FewmarkError
from tracker.cli import app
from training.faces import FaceManifest, PrepareSettings, load_faces, prepare_faces
from training.faces import prepare as prepare_module
from training.faces.manifest import MANIFEST_NAME, read_manifest, write_manifest

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = PrepareSettings(size=32, images_per_shard=20)
FACES = 48  # of real faces in ``pictures``: two shards and a part


@pytest.fixture(scope="module")
def pictures(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of real faces by source, and a broken and a faceless image."""
    folder = tmp_path_factory.mktemp("sources") / "pictures"
    with tarfile.open(shared_data / "faces" / "faces-00.tar") as tar:
        members = [member for member in tar if not member.name.startswith("fairface")][:FACES]
        tar.extractall(folder, members=members, filter="data")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not much of an image")
    return folder


@pytest.fixture(scope="module")
def prepared(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, FaceManifest, list[str]]:
    """Made by one worker: the folder, its manifest, what was reported."""
    out = tmp_path_factory.mktemp("prepared") / "faces"
    said: list[str] = []
    manifest = prepare_faces([pictures], out, SETTINGS, workers=1, report=said.append)
    return out, manifest, said


@pytest.fixture
def no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails where work would be done."""

    def refuse(*_: object, **__: object) -> ProcessPoolExecutor:
        raise AssertionError("workers were started")

    monkeypatch.setattr(prepare_module, "ProcessPoolExecutor", refuse)


def shards_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.tar")}


def test_every_image_is_accounted_for(prepared: tuple[Path, FaceManifest, list[str]]) -> None:
    out, manifest, said = prepared
    assert manifest.complete
    assert manifest == read_manifest(out)
    assert [shard.file for shard in manifest.shards] == ["faces-00000.tar", "faces-00001.tar", "faces-00002.tar"]
    assert sorted(path.name for path in out.iterdir()) == [*(shard.file for shard in manifest.shards), MANIFEST_NAME]
    assert manifest.images == FACES + 1
    assert manifest.skipped("unreadable").total() == 1
    assert manifest.faces + manifest.skipped("no_face").total() + 1 == manifest.images
    assert manifest.faces > 0.9 * FACES
    assert len(said) == 1
    assert "pictures/broken" in said[0]
    for shard in manifest.shards:
        with tarfile.open(out / shard.file) as tar:
            assert len(tar.getnames()) == shard.faces


def test_finished_work_is_not_done_again(
    pictures: Path, prepared: tuple[Path, FaceManifest, list[str]], no_workers: None
) -> None:
    out, manifest, _ = prepared
    assert prepare_faces([pictures], out, SETTINGS, report=lambda _: None) == manifest


@pytest.mark.slow
def test_an_interrupted_run_goes_on_and_ends_with_the_same_files(
    pictures: Path, prepared: tuple[Path, FaceManifest, list[str]], tmp_path: Path
) -> None:
    """Stopped after the first shard, then completed by another number of workers."""
    whole, manifest, _ = prepared
    answers: Iterator[bool] = iter([False, True])
    stopped = prepare_faces(
        [pictures], tmp_path / "f", SETTINGS, workers=2, should_stop=lambda: next(answers), report=lambda _: None
    )
    assert not stopped.complete
    assert [shard.file for shard in stopped.shards] == ["faces-00000.tar"]
    written = (tmp_path / "f" / "faces-00000.tar").stat().st_mtime_ns
    with pytest.raises(FewmarkError, match="not finished"):
        load_faces([tmp_path / "f"], size=32)
    resumed = prepare_faces([pictures], tmp_path / "f", SETTINGS, workers=2, report=lambda _: None)
    assert resumed == manifest
    assert (tmp_path / "f" / "faces-00000.tar").stat().st_mtime_ns == written
    assert shards_of(tmp_path / "f") == shards_of(whole)


@pytest.mark.slow
def test_a_lost_shard_is_made_again(
    pictures: Path, prepared: tuple[Path, FaceManifest, list[str]], tmp_path: Path
) -> None:
    whole, manifest, _ = prepared
    out = tmp_path / "f"
    out.mkdir()
    for name, data in shards_of(whole).items():
        (out / name).write_bytes(data)
    write_manifest(out, manifest)
    (out / "faces-00002.tar").unlink()
    assert prepare_faces([pictures], out, SETTINGS, workers=1, report=lambda _: None) == manifest
    assert shards_of(out) == shards_of(whole)


@pytest.mark.slow
def test_a_dead_worker_is_told_and_leaves_no_half_shard(pictures: Path, tmp_path: Path) -> None:
    def kill_workers() -> bool:
        if len(read_manifest(tmp_path / "f").shards) == 1:  # type: ignore[union-attr]
            for child in psutil.Process().children():
                if "resource_tracker" not in " ".join(child.cmdline()):
                    child.kill()
        return False

    few = replace(SETTINGS, images_per_shard=2)
    many = [pictures] * 12  # more tasks than may be under way at once
    with pytest.raises(FewmarkError, match="a worker process died"):
        prepare_faces(many, tmp_path / "f", few, workers=1, should_stop=kill_workers, report=lambda _: None)
    assert not list((tmp_path / "f").glob("*.part"))
    manifest = read_manifest(tmp_path / "f")
    assert manifest is not None
    assert len(manifest.shards) >= 1
    assert all((tmp_path / "f" / shard.file).exists() for shard in manifest.shards)


def test_other_images_or_settings_are_refused(
    pictures: Path, prepared: tuple[Path, FaceManifest, list[str]], no_workers: None
) -> None:
    out, _, _ = prepared
    for sources, settings in (
        ([pictures], replace(SETTINGS, margin=1.5)),
        ([pictures / "lfw"], SETTINGS),
    ):
        with pytest.raises(FewmarkError, match="other images or with other settings"):
            prepare_faces(sources, out, settings, report=lambda _: None)


def test_a_folder_with_other_files_is_refused(pictures: Path, tmp_path: Path, no_workers: None) -> None:
    (tmp_path / "thesis.txt").write_text("no faces here")
    with pytest.raises(FewmarkError, match=r"holds files, but no faces\.json"):
        prepare_faces([pictures], tmp_path, SETTINGS)
    with pytest.raises(FewmarkError, match="lies inside the source"):
        prepare_faces([pictures], pictures / "out", SETTINGS)
    assert not (pictures / "out").exists()
    with pytest.raises(FewmarkError, match="0 workers"):
        prepare_faces([pictures], tmp_path / "f", SETTINGS, workers=0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not readable"),
        ('{"a": 1}', "not a manifest"),
        ('{"format": "fewmark-faces", "version": 9}', "version 9"),
        ('{"format": "fewmark-faces", "version": 1, "colour": 1}', "unknown key 'colour'"),
        ('{"format": "fewmark-faces", "version": 1}', "is missing"),
    ],
)
def test_a_damaged_manifest_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / MANIFEST_NAME).write_text(content)
    with pytest.raises(FewmarkError, match=rf"faces\.json.*{message}"):
        read_manifest(tmp_path)


def test_the_command_has_the_settings_defaults() -> None:
    command = typer.main.get_command(app).commands["prepare-faces"]  # type: ignore[attr-defined]
    defaults = asdict(PrepareSettings())
    options = {option.name: option.default for option in command.params if option.name in defaults}
    assert set(options) == {"size", "margin", "context", "min_face"}
    assert options == {name: defaults[name] for name in options}


@pytest.mark.parametrize(
    ("source", "message"),
    [("missing", "does not exist"), ("empty", "no images here"), ("no.tar", "not a readable .tar")],
)
def test_bad_sources_end_the_command_with_code_2(tmp_path: Path, source: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "no.tar").write_bytes(b"nothing of the kind" * 60)
    run = CliRunner().invoke(app, ["prepare-faces", str(tmp_path / source), "--out", str(tmp_path / "f")])
    assert run.exit_code == 2
    assert message in run.stderr
    assert not (tmp_path / "f").exists()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows can't send Ctrl-C to one child alone")
def test_ctrl_c_finishes_the_shard_and_the_same_command_goes_on(pictures: Path, tmp_path: Path) -> None:
    many = [str(pictures)] * 50  # 2450 images: two shards
    command = [sys.executable, "-m", "tracker", "prepare-faces", *many, "--out", "f", "--workers", "1", "--size", "16"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    part = tmp_path / "f" / "faces-00000.tar.part"
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 300
        while not part.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=300)
    assert process.returncode == 130, said
    assert "goes on" in said
    assert sorted(path.name for path in (tmp_path / "f").iterdir()) == ["faces-00000.tar", MANIFEST_NAME]
    again = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines()[-1] == "f"
    manifest = read_manifest(tmp_path / "f")
    assert manifest is not None
    assert manifest.complete
    assert manifest.images == 50 * (FACES + 1)
