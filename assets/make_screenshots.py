"""Pictures of the window for the README: the real application on the bundled clip, without a screen.

python assets/make_screenshots.py [--theme light] [--scale 2] [--out FOLDER]

Needs a font that Qt finds (on Debian and Ubuntu: fonts-dejavu-core).
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PyQt6.QtWidgets import QApplication

    from gui.shell.main_window import MainWindow

SIZE = (1280, 800)  # px
LIVE_S = 9.0  # how much of the plot is filled
DEADLINE_S = 600.0


def main() -> None:
    """Writes ``window_live.png`` and ``window_video.png``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--theme", choices=("dark", "light"), default="dark")
    parser.add_argument("--scale", type=float, default=1.0, help="of the screen: 2 is 200 %%")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    arguments = parser.parse_args()
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    os.environ["QT_SCALE_FACTOR"] = str(arguments.scale)
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fewmark-") as scratch:
        ended = take_pictures(arguments.theme, arguments.out, Path(scratch))
    if not ended:
        from gui.app import end_process

        end_process(0)


def take_pictures(theme: str, out: Path, scratch: Path) -> bool:
    """Runs the application once, with settings and results in ``scratch``; False if one of its threads still runs."""
    from gui import qt_environment

    qt_environment.prepare()
    from gui.app import make_application
    from gui.live import LiveWorkspace
    from gui.look.theme import apply_theme
    from gui.settings.settings_store import SettingsStore
    from gui.shell.main_window import MainWindow
    from gui.video import VideoWorkspace
    from tracker.files.assets import demo_clip

    app = make_application(["fewmark"])
    settings = SettingsStore(scratch / "settings.toml")
    shown = ("heatmap", "contours", "confidence", "ids")
    settings.update("window", theme=theme)
    settings.update("live", overlays=shown, mirror=False)
    settings.update("video", overlays=shown, process_at_once=True, results_folder=scratch / "results")
    apply_theme(app, theme)
    window = MainWindow(app, settings, (LiveWorkspace, VideoWorkspace))
    window.resize(*SIZE)
    window.show()

    window.open("Live", [str(demo_clip())])
    picture_live(app, window)
    save_picture(app, window, out / "window_live.png")

    clip = Path(shutil.copy(demo_clip(), scratch / "demo.mp4"))
    window.open("Video", [str(clip)])
    picture_video(app, window)
    save_picture(app, window, out / "window_video.png")
    window.close()
    return window.has_ended


def picture_live(app: QApplication, window: MainWindow) -> None:
    """Lets the clip play until the plot has something to show and a face is in the picture."""
    from gui.live import LiveWorkspace

    live = window.workspaces["Live"]
    assert isinstance(live, LiveWorkspace)
    wait_for(app, lambda: live.picture is not None and bool(live.picture.tracked.result.faces))
    tracker = live.bridge.session.tracker
    if tracker is not None and not tracker.why_no_reconstruction:
        live.overlays.toggle_reconstruction()
    begin = time.monotonic()
    wait_for(app, lambda: time.monotonic() > begin + LIVE_S)
    wait_for(app, lambda: live.picture is not None and len(live.picture.tracked.result.faces) > 0)


def picture_video(app: QApplication, window: MainWindow) -> None:
    """Lets the clip be processed, then goes to its least confident moment."""
    from gui.video import VideoWorkspace

    video = window.workspaces["Video"]
    assert isinstance(video, VideoWorkspace)
    wait_for(app, lambda: any(entry.loaded for entry in video.library.entries.values()))
    wait_for(app, lambda: video.stage.picture is not None)
    video.stage.go_to_doubtful(1)

    def has_heatmaps() -> bool:
        picture = video.stage.picture
        faces = picture.result.faces if picture is not None and picture.result is not None else ()
        return bool(faces) and all(face.heatmap is not None for face in faces)

    wait_for(app, has_heatmaps)
    begin = time.monotonic()
    wait_for(app, lambda: time.monotonic() > begin + 2)


def save_picture(app: QApplication, window: MainWindow, path: Path) -> None:
    """The window without the messages of this run, which no user would see."""
    while window.messages.text:
        window.messages.close_message()
    app.processEvents()
    window.grab().save(str(path))


def wait_for(app: QApplication, condition: Callable[[], bool]) -> None:
    """Lets the application run until the condition holds.

    Raises:
        TimeoutError: it does not come to hold.
    """
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the application did not get that far")
        app.processEvents()
        time.sleep(0.005)


if __name__ == "__main__":
    main()
