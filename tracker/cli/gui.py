"""``fewmark`` without arguments, ``fewmark live`` and ``fewmark open``: the window."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from models.errors import FewmarkError


def open_window(workspace: str = "", inputs: tuple[str, ...] = ()) -> None:
    """Opens the window and ends the command with its exit code.

    Raises:
        FewmarkError: no window can be opened here.
        typer.Exit: the window was closed.
    """
    from gui.qt_environment import check_display

    check_display()  # before Qt is imported: a library that is missing fails there already
    from gui.app import run_window

    raise typer.Exit(run_window(workspace, inputs))


def live(
    source: Annotated[
        str | None,
        typer.Argument(help="A camera (0, camera:NAME), a video or an address; default: the last camera."),
    ] = None,
) -> None:
    """Open the window and track a camera."""
    open_window("Live", () if source is None else (source,))


def open_videos(
    videos: Annotated[list[Path], typer.Argument(metavar="VIDEO...", help="Videos, or folders of images.")],
) -> None:
    """Open the window and look at videos."""
    for path in videos:
        if not path.exists():
            raise FewmarkError(f"{path}: no such file or folder; check the path")
    open_window("Video", tuple(str(path) for path in videos))
