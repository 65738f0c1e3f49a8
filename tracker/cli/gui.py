"""``fewmark`` without arguments, ``fewmark live`` and ``fewmark open``: the window."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from models.errors import FewmarkError
from models.registry import MODELS, model_file

_Model = Annotated[
    str | None, typer.Option(metavar="NAME|FILE", help="A shipped model or a model file; the window remembers it.")
]


def open_window(workspace: str = "", inputs: tuple[str, ...] = (), model: str | None = None) -> None:
    """Opens the window and ends the command with its exit code.

    Raises:
        FewmarkError: no window can be opened here, or there is no such model.
        typer.Exit: the window was closed.
    """
    if model is not None:
        model = _checked(model)
    from gui.qt_environment import check_display

    check_display()  # before Qt is imported: a library that is missing fails there already
    from gui.app import run_window

    raise typer.Exit(run_window(workspace, inputs, model))


def live(
    source: Annotated[
        str | None,
        typer.Argument(help="A camera (0, camera:NAME), a video or an address; default: the last camera."),
    ] = None,
    model: _Model = None,
) -> None:
    """Open the window and track a camera."""
    open_window("Live", () if source is None else (source,), model)


def open_videos(
    videos: Annotated[list[Path], typer.Argument(metavar="VIDEO...", help="Videos, or folders of images.")],
    model: _Model = None,
) -> None:
    """Open the window and look at videos."""
    for path in videos:
        if not path.exists():
            raise FewmarkError(f"{path}: no such file or folder; check the path")
    open_window("Video", tuple(str(path) for path in videos), model)


def _checked(model: str) -> str:
    """A shipped model's name, or the absolute path of a file: it is remembered, wherever the next window is opened."""
    return model if model in MODELS else str(model_file(model).absolute())
