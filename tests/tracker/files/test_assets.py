from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tracker.files.assets import demo_clip

ROOT = Path(__file__).resolve().parents[3]


def test_the_demo_clip_of_the_checkout_is_found() -> None:
    assert demo_clip() == ROOT / "assets" / "demo.mp4"


def test_a_missing_demo_clip_is_named(tmp_path: Path) -> None:
    for name in ("tracker/__init__.py", "tracker/files/assets.py", "models/__init__.py", "models/errors.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / name)
    code = "from tracker.files.assets import demo_clip; demo_clip()"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    last_line = run.stderr.strip().splitlines()[-1]
    assert last_line.startswith("models.errors.FewmarkError: the demo clip is missing: no ")
    assert "install Fewmark again" in last_line
