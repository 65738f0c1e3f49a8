"""Machines without a screen, and what OpenCV does to Qt."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from typer.testing import CliRunner

from gui import qt_environment
from models.errors import FewmarkError
from tracker.cli import app

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems always have a display")


def _without_screen() -> dict[str, str]:
    hidden = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    return {name: value for name, value in os.environ.items() if name not in hidden}


@linux_only
@pytest.mark.parametrize("arguments", [[], ["live"]])
def test_without_a_screen_the_command_says_what_to_do(arguments: list[str]) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tracker", *arguments],
        env=_without_screen(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2, run.stderr
    assert run.stderr.startswith("error: no screen: neither DISPLAY nor WAYLAND_DISPLAY is set")
    assert "fewmark track" in run.stderr
    assert len(run.stderr.splitlines()) == 1


@linux_only
def test_a_display_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("DISPLAY", ":987")
    with pytest.raises(FewmarkError, match=r"no window can be opened on DISPLAY=:987: \w+"):
        qt_environment.check_display()


@linux_only
def test_a_platform_without_a_screen_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen:size=1280x800")
    qt_environment.check_display()


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        (
            "qt.qpa.plugin: From 6.5.0, xcb-cursor0 or libxcb-cursor0 is needed to load the Qt xcb platform plugin.\n"
            'qt.qpa.plugin: Could not load the Qt platform plugin "xcb" in "" even though it was found.\n',
            "apt install libxcb-cursor0",
        ),
        ("qt.qpa.xcb: could not connect to display :5\nqt.qpa.plugin: Could not load", "could not connect to display"),
        (
            "Traceback (most recent call last):\n  File ...\n"
            "ImportError: libEGL.so.1: cannot open shared object file: No such file or directory\n",
            "libEGL.so.1: cannot open shared object file",
        ),
        ("", "Qt gave no reason"),
    ],
)
def test_qts_complaint_becomes_a_reason(stderr: str, reason: str) -> None:
    assert reason in qt_environment.reason_of(stderr)


def test_opencvs_search_paths_are_removed_and_the_users_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plugins = Path(cv2.__file__).parent / "qt" / "plugins"
    monkeypatch.setenv("QT_QPA_PLATFORM_PLUGIN_PATH", str(plugins))
    monkeypatch.setenv("QT_QPA_FONTDIR", str(tmp_path))
    qt_environment.prepare()
    assert "QT_QPA_PLATFORM_PLUGIN_PATH" not in os.environ
    assert os.environ["QT_QPA_FONTDIR"] == str(tmp_path)


def test_a_video_that_is_not_there_is_said_before_a_window_opens(tmp_path: Path) -> None:
    run = CliRunner().invoke(app, ["open", str(tmp_path / "none.mp4")])
    assert run.exit_code == 2
    assert "none.mp4: no such file or folder" in run.stderr
