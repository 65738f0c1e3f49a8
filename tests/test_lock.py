"""The versions that CI installs (``.ci/lock.txt``), and the oldest that a user may have (``.ci/lowest.py``)."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / ".ci" / "lock.txt"
CI = {"platform_system": "Linux", "platform_machine": "x86_64", "python_version": "3.11", "extra": ""}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def _required(*extras: str) -> list[Requirement]:
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in PROJECT["optional-dependencies"][extra])]
    return [Requirement(line) for line in lines]


def _locked() -> dict[str, str]:
    lines = [line for line in LOCK.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return {canonicalize_name(line.partition("==")[0]): line.partition("==")[2] for line in lines}


def test_the_lock_names_versions_and_no_places() -> None:
    lines = LOCK.read_text(encoding="utf-8").splitlines()[1:]
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []


def test_all_that_the_tests_need_is_locked_within_the_range_that_is_allowed() -> None:
    locked = _locked()
    wanted = [r for r in _required("dev") if r.marker is None or r.marker.evaluate(CI)]
    loose = [str(r) for r in wanted if locked.get(canonicalize_name(r.name), "none") not in r.specifier]
    assert loose == [], "pyproject.toml has changed: run .ci/lock"


def test_ci_has_what_the_lock_says() -> None:
    if LOCK.name not in os.environ.get("PIP_CONSTRAINT", ""):
        pytest.skip("only .ci/run installs what the lock says")
    locked = _locked() | {"fewmark": PROJECT["version"]}
    installed = {
        canonicalize_name(found.name): found.version.partition("+")[0] for found in importlib.metadata.distributions()
    }
    installed.pop("pip", None)  # comes with Python
    assert {name: version for name, version in installed.items() if locked.get(name) != version} == {}, "run .ci/lock"


def test_the_oldest_versions_are_the_lower_bounds() -> None:
    run = subprocess.run([sys.executable, ROOT / ".ci" / "lowest.py"], capture_output=True, text=True, check=True)
    pinned = [Requirement(line) for line in run.stdout.splitlines()]
    for requirement in pinned:
        (exactly,) = requirement.specifier
        assert exactly.operator == "=="
    oldest = {canonicalize_name(r.name): next(iter(r.specifier)).version for r in pinned}
    users = [extra for extra in PROJECT["optional-dependencies"] if extra not in ("dev", "docs")]
    for requirement in _required(*users):
        bounds = {bound.version for bound in requirement.specifier if bound.operator == ">="}
        assert bounds == {oldest[canonicalize_name(requirement.name)]}
    assert oldest["ruff"] == _locked()["ruff"]


def test_the_run_knows_its_choices() -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("needs bash")
    run = subprocess.run([bash, ROOT / ".ci" / "run", "oldest"], capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert run.stderr == ".ci/run: no versions called oldest; choose locked, newest or lowest\n"
