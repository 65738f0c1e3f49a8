"""``from tracker import ...``: the names that scripts may count on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tracker

ROOT = Path(__file__).resolve().parents[2]


def _run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The code, in a fresh interpreter that finds what lies in the folder before it finds ours."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_public_name_is_at_its_home() -> None:
    assert sorted(tracker._HOME_OF) == sorted(tracker.__all__)
    for name in tracker.__all__:
        value = getattr(tracker, name)
        assert value.__name__ == name
        assert value.__doc__
    assert set(tracker.__all__) <= set(dir(tracker))


def test_what_is_not_public_is_not_there() -> None:
    with pytest.raises(AttributeError, match="module 'tracker' has no attribute 'open_trackers'"):
        getattr(tracker, "open_trackers")  # noqa: B009  ruff would have the type checker complain


def test_the_package_alone_costs_nothing(tmp_path: Path) -> None:
    code = "import sys; before = set(sys.modules); import tracker; print(*sorted(set(sys.modules) - before))"
    heavy = {"torch", "numpy", "cv2", "mediapipe", "models"}
    loaded = _run(code, tmp_path).stdout.split()
    assert "tracker" in loaded
    assert heavy.isdisjoint(loaded)


def test_a_source_is_opened_without_torch(tmp_path: Path) -> None:
    run = _run("import sys; from tracker import open_source, Frame; print('torch' in sys.modules)", tmp_path)
    assert run.stdout == "False\n", run.stderr


def test_a_script_is_told_of_an_intruder(tmp_path: Path) -> None:
    (tmp_path / "models.py").write_text("raise SystemError('imported')", encoding="utf-8")
    run = _run("from tracker import open_model", tmp_path)
    assert f"InstallError: {(tmp_path / 'models.py').resolve()} hides Fewmark's own package `models`" in run.stderr
