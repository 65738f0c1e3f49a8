"""What the window paints itself against pictures of how it should look."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PyQt6.QtWidgets import QApplication

GOLDEN: dict[str, Any] = runpy.run_path(str(Path(__file__).parent / "golden" / "make_widget_goldens.py"))


@pytest.mark.parametrize("name", GOLDEN["PICTURES"])
def test_looks_as_its_golden(qapp: QApplication, name: str) -> None:
    drawn = GOLDEN["draw"](qapp, name)
    if drawn.shape[1] != GOLDEN["SIZE"][0]:
        pytest.skip("the screen is not at 100 %")
    assert not GOLDEN["differs"](drawn, GOLDEN["read_golden"](name)), f"look at {GOLDEN['golden_path'](name)}"


def test_another_look_is_told_apart(qapp: QApplication) -> None:
    assert GOLDEN["differs"](GOLDEN["draw"](qapp, "controls_light"), GOLDEN["read_golden"]("controls_dark"))
    shifted = np.roll(GOLDEN["read_golden"]("canvas_dark"), 2, axis=1)
    assert GOLDEN["differs"](shifted, GOLDEN["read_golden"]("canvas_dark"))
