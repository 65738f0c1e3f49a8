"""Style, types and import contracts, so that one command checks everything. Settings: pyproject.toml."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from installed import needs

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        pytest.param("ruff", ["-m", "ruff", "check"], id="ruff-check"),
        pytest.param("ruff", ["-m", "ruff", "format", "--check", "--diff"], id="ruff-format"),
        pytest.param("mypy", ["-m", "mypy"], id="mypy"),
        pytest.param(
            "importlinter",  # has no __main__
            ["-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
            id="import-linter",
        ),
    ],
)
def test_passes(module: str, arguments: list[str]) -> None:
    needs(module, extra="dev")
    run = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        pytest.fail(run.stdout + run.stderr, pytrace=False)
