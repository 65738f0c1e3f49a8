from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tracker.machine.install_check import PACKAGES, check_packages_lie_together

ROOT = Path(__file__).resolve().parents[3]
CHECK = """
import sys
from tracker.machine.install_check import InstallError, check_packages_lie_together
try:
    check_packages_lie_together()
except InstallError as error:
    print(error)
assert not {"models", "training"} & sys.modules.keys()  # looked for, not imported
"""


def _complaint(python_path: list[Path], cwd: Path) -> str:
    """What a fresh interpreter says that finds modules along ``python_path``."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, python_path))}
    run = subprocess.run(
        [sys.executable, "-c", CHECK], env=environment, cwd=cwd, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_every_package_of_the_checkout_is_checked() -> None:
    ours = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert set(PACKAGES) == ours


def test_the_checkout_passes(tmp_path: Path) -> None:
    check_packages_lie_together()
    assert _complaint([ROOT], tmp_path) == ""


@pytest.mark.parametrize("intruder", ["models/__init__.py", "models.py"])
def test_an_intruder_is_named(tmp_path: Path, intruder: str) -> None:
    path = tmp_path / "elsewhere" / intruder
    path.parent.mkdir(parents=True)
    path.write_text("raise SystemError('imported')")

    complaint = _complaint([tmp_path / "elsewhere", ROOT], tmp_path)

    named = path.parent if path.name == "__init__.py" else path
    assert complaint.startswith(f"{named.resolve()} hides Fewmark's own package `models`")


def test_the_command_names_an_intruder_instead_of_importing_it(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "__init__.py").write_text("raise SystemError('imported')")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    run = subprocess.run(
        [sys.executable, "-m", "tracker", "doctor"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert run.stderr.startswith(f"error: {tmp_path.resolve() / 'models'} hides Fewmark's own package")
    assert len(run.stderr.splitlines()) == 1


def test_a_missing_package_is_named(tmp_path: Path) -> None:
    for name in ("__init__.py", "machine/__init__.py", "machine/install_check.py"):
        copy = tmp_path / "tracker" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((ROOT / "tracker" / name).read_bytes())
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    # -S: without site-packages, where an editable install would lead to the whole checkout.
    run = subprocess.run(
        [sys.executable, "-S", "-c", CHECK], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.stdout.startswith("package `models` is missing from "), run.stderr


def test_folders_without_code_do_not_count_as_ours(tmp_path: Path) -> None:
    """Data of an editable install may leave an empty ``tracker`` folder in site-packages; Python passes over it."""
    (tmp_path / "tracker" / "data").mkdir(parents=True)
    assert _complaint([tmp_path, ROOT], tmp_path / "tracker") == ""
