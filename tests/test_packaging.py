"""Builds the wheel for real and looks at what a user would get."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import Parser
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from installed import needs

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {path.parent.name for path in ROOT.glob("*/__init__.py")}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    needs("hatchling", extra="dev")
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    run = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def _dist_info(wheel: zipfile.ZipFile, name: str) -> str:
    (path,) = (entry for entry in wheel.namelist() if re.fullmatch(rf"fewmark-[^/]+\.dist-info/{name}", entry))
    return wheel.read(path).decode()


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    return Parser().parsestr(_dist_info(wheel, "METADATA"))


def _normalised(name: str) -> str:
    """The name of a distribution as PEP 503 writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _requirements(metadata: Message, *, extras: bool = False) -> list[str]:
    """Names of what every installation needs, with ``extras`` also of what users may add; never the dev extra."""
    left_out = "extra == 'dev'" if extras else "extra =="
    lines = [line for line in metadata.get_all("Requires-Dist", []) if left_out not in line.replace('"', "'")]
    return [_normalised(re.split(r"[^\w.-]", line)[0]) for line in lines]


def _imported(path: Path) -> set[str]:
    """Top-level names of all absolute imports in a module, those inside functions included."""
    names = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def test_only_our_packages_lie_at_the_top(wheel: zipfile.ZipFile) -> None:
    top = {name.partition("/")[0] for name in wheel.namelist()}
    assert {name for name in top if not name.endswith(".dist-info")} == PACKAGES


def test_every_module_is_in(wheel: zipfile.ZipFile) -> None:
    ours = {path.relative_to(ROOT).as_posix() for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    assert ours <= set(wheel.namelist())


def test_type_checkers_are_told_that_ours_are_typed(wheel: zipfile.ZipFile) -> None:
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(wheel.namelist())


def test_no_tests_and_no_pickles_are_in(wheel: zipfile.ZipFile) -> None:
    unwanted = re.compile(r"(^|/)(tests?|conftest\.py|test_[^/]*)(/|$)|\.(pt|pth|pkl|pickle|mdl|npy|npz)$")
    assert [name for name in wheel.namelist() if unwanted.search(name)] == []


def test_demo_clip_weights_and_licence_are_in(wheel: zipfile.ZipFile) -> None:
    assert wheel.read("tracker/data/demo.mp4") == (ROOT / "assets" / "demo.mp4").read_bytes()
    for weights in (ROOT / "models").rglob("*.safetensors"):
        assert wheel.getinfo(weights.relative_to(ROOT).as_posix()).file_size == weights.stat().st_size
    assert _dist_info(wheel, "licenses/LICENSE") == (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_the_windows_icons_are_in(wheel: zipfile.ZipFile) -> None:
    icons = {path.relative_to(ROOT).as_posix() for path in (ROOT / "gui" / "look" / "icons").glob("*.svg")}
    assert "gui/look/icons/fewmark.svg" in icons
    assert icons <= set(wheel.namelist())


def test_it_can_not_be_uploaded_by_mistake(metadata: Message) -> None:
    assert "Private :: Do Not Upload" in metadata.get_all("Classifier", [])
    assert metadata["License-Expression"] == "GPL-3.0-or-later"


def test_opencv_comes_through_mediapipe_alone(metadata: Message) -> None:
    """Two OpenCV distributions in one environment overwrite each other's cv2."""
    requirements = _requirements(metadata)
    assert "mediapipe" in requirements
    assert [name for name in requirements if name.startswith("opencv")] == []


# Requirements whose modules have other names, or come by way of theirs; a developer's installation lacks them.
_BRING = {"cuda": "cuda-bindings", "tensorrt": "torch-tensorrt"}


def test_every_import_is_a_declared_requirement(metadata: Message) -> None:
    """What is installed by chance, as a part of something else, may be gone tomorrow. cv2 comes through mediapipe."""
    declared = set(_requirements(metadata, extras=True))
    distributions_of = packages_distributions()
    undeclared = {
        f"{path.relative_to(ROOT).as_posix()}: {name}"
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for name in _imported(path) - PACKAGES - sys.stdlib_module_names - {"cv2"}
        if declared.isdisjoint(
            _normalised(found) for found in [*distributions_of.get(name, []), _BRING.get(name, name)]
        )
    }
    assert undeclared == set()


def test_console_scripts_are_the_only_way_in(wheel: zipfile.ZipFile) -> None:
    section, script = _dist_info(wheel, "entry_points.txt").split("\n", 1)
    assert section == "[console_scripts]"
    assert re.fullmatch(r"fewmark = tracker\.\w+:main\n", script)


def test_the_unpacked_wheel_finds_its_parts(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path)
    code = (
        "from tracker.machine.install_check import check_packages_lie_together; check_packages_lie_together();"
        "from tracker.files.assets import demo_clip; print(demo_clip())"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        cwd=tmp_path.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout.strip() == str(tmp_path.resolve() / "tracker" / "data" / "demo.mp4"), run.stderr
