"""Style, types and import contracts, so that one command checks everything. Settings: pyproject.toml.

The checks are those of ``.pre-commit-config.yaml``: what a commit is held to and what CI holds are one list.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from installed import needs

yaml = pytest.importorskip("yaml", reason="needs PyYAML: pip install -e '.[dev]'")

ROOT = Path(__file__).resolve().parent.parent
REPOSITORIES = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
HOOKS = {hook["id"]: hook["entry"].split() for repository in REPOSITORIES for hook in repository["hooks"]}


@pytest.mark.parametrize("hook", HOOKS)
def test_passes(hook: str) -> None:
    program, *arguments = HOOKS[hook]
    if program == "python":
        needs(arguments[1], extra="dev")
        program = sys.executable
    else:
        program = shutil.which(program, path=str(Path(sys.executable).parent)) or pytest.skip(f"{program} is missing")
    run = subprocess.run([program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        pytest.fail(run.stdout + run.stderr, pytrace=False)


def test_hooks_fetch_nothing() -> None:
    assert {repository["repo"] for repository in REPOSITORIES} == {"local"}
    assert {hook["language"] for repository in REPOSITORIES for hook in repository["hooks"]} == {"system"}
