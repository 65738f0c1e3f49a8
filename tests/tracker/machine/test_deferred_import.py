"""Stand-ins for modules of a test's own, in processes of their own where the real ones matter."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tracker.machine.deferred_import import deferred


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A library ``plots.lines`` and ``sound``, and ``uses_both``, which imports them."""
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots/__init__.py").write_text("COLOUR = 'red'\n")
    (tmp_path / "plots/lines.py").write_text("def draw():\n    return 'drawn'\n")
    (tmp_path / "sound.py").write_text("raise OSError('no loudspeaker')\n")
    (tmp_path / "uses_both.py").write_text("import plots.lines as lines\nimport sound\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for name in ("plots", "plots.lines", "sound", "uses_both"):
        sys.modules.pop(name, None)


@pytest.mark.usefixtures("library")
def test_a_module_comes_when_it_is_used() -> None:
    with deferred("plots", "plots.lines", "sound"):
        user = importlib.import_module("uses_both")
    assert not {"plots", "plots.lines", "sound"} & sys.modules.keys()
    assert user.lines.draw() == "drawn"
    assert sys.modules["plots.lines"].draw is user.lines.draw
    with pytest.raises(AttributeError, match="no attribute 'erase'"):
        _ = user.lines.erase
    with pytest.raises(OSError, match="no loudspeaker"):
        user.sound.play()


@pytest.mark.usefixtures("library")
def test_what_is_used_within_the_block_comes_at_once() -> None:
    with deferred("plots", "plots.lines", "sound"):
        user = importlib.import_module("uses_both")
        assert user.lines.draw() == "drawn"
        assert not hasattr(user.sound, "__file__")  # asking every module for its file loads none
    assert importlib.import_module("plots").COLOUR == "red"


@pytest.mark.usefixtures("library")
def test_a_module_that_is_loaded_stays_as_it_is() -> None:
    plots = importlib.import_module("plots")
    with deferred("plots", "plots.lines", "sound"):
        user = importlib.import_module("uses_both")
        assert sys.modules["plots"] is plots
    assert user.lines.draw() == "drawn"


@pytest.mark.usefixtures("library")
def test_an_import_that_fails_leaves_nothing_behind() -> None:
    with pytest.raises(ModuleNotFoundError), deferred("plots", "sound"):
        importlib.import_module("there_is_no_such_module")
    assert not {"plots", "sound"} & sys.modules.keys()


def test_the_detector_needs_no_plots_and_no_loudspeaker() -> None:
    code = (
        "import sys; from tracker.detectors import DETECTORS; DETECTORS['short_range']().close();"
        "print({'matplotlib', 'sounddevice'} & sys.modules.keys());"
        "from mediapipe.tasks.python.vision import drawing_utils; print(drawing_utils.plt.figure.__name__)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.stdout.split("\n")[:2] == ["set()", "figure"], run.stderr
