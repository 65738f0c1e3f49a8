"""Makes sure that Qt can open a window here, and repairs what OpenCV does to Qt's search paths."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from models.errors import FewmarkError

_SET_BY_OPENCV = ("QT_QPA_PLATFORM_PLUGIN_PATH", "QT_QPA_FONTDIR")
_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")
_PLATFORMS_WITH_DISPLAY = ("", "xcb", "wayland", "wayland-egl")
_PROBE = "from PyQt6.QtGui import QGuiApplication; QGuiApplication([])"
_PROBE_TIMEOUT_S = 30.0
_INSTEAD = "`fewmark track` works without a window"


def prepare() -> None:
    """Call before ``QApplication`` is made, which takes the search paths over.

    OpenCV's wheel points Qt to the plug-ins and fonts of its own Qt when it is imported; PyQt6 can't use those.
    """
    import cv2

    opencv = Path(cv2.__file__).parent
    for variable in _SET_BY_OPENCV:
        value = os.environ.get(variable)
        if value and opencv in Path(value).parents:
            del os.environ[variable]


def check_display() -> None:
    """Looks whether a window can be opened, in a process of its own: where Qt can't, it ends the process it is in.

    Raises:
        FewmarkError: there is no display, or Qt can't use it. Only Linux is looked at: elsewhere there always is one.
    """
    if not sys.platform.startswith("linux"):
        return
    platform = os.environ.get("QT_QPA_PLATFORM", "").partition(":")[0].partition(";")[0]
    if platform not in _PLATFORMS_WITH_DISPLAY:
        return
    if not any(os.environ.get(name) for name in _DISPLAYS):
        raise FewmarkError(
            "no screen: neither DISPLAY nor WAYLAND_DISPLAY is set, so no window can be opened; start it in a desktop "
            f"session, or through ssh with `ssh -X`. {_INSTEAD}"
        )
    try:
        # -c puts the current folder on the path: not -I, which would hide a PyQt6 on PYTHONPATH.
        probe = subprocess.run(
            [sys.executable, "-c", _PROBE],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PROBE_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise FewmarkError(
            f"the display {_display()} does not answer, so no window can be opened; check that the session is alive. "
            f"{_INSTEAD}"
        ) from None
    if probe.returncode != 0:
        raise FewmarkError(f"no window can be opened on {_display()}: {reason_of(probe.stderr)}. {_INSTEAD}")


def _display() -> str:
    return next(f"{name}={os.environ[name]}" for name in reversed(_DISPLAYS) if os.environ.get(name))


def reason_of(stderr: str) -> str:
    """What Qt or the dynamic loader complained of, and the package that would help."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    if any("xcb-cursor" in line for line in lines):
        return "Qt needs the library xcb-cursor; install it (on Debian and Ubuntu: apt install libxcb-cursor0)"
    missing = next((line for line in lines if "cannot open shared object file" in line), "")
    if missing:
        return f"{missing.removeprefix('ImportError: ')}; install the package that brings this library"
    complaint = next((line for line in lines if line.startswith("qt.")), lines[-1] if lines else "Qt gave no reason")
    return complaint.partition(": ")[2] or complaint
