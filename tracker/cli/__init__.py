"""The ``fewmark`` command. Every subcommand loads what it needs when it runs: ``--help`` answers at once.

Exit codes: 0 done, 2 for what the user can mend (bad arguments, bad input), 130 after Ctrl-C. Anything else is a fault
of this program and leaves a traceback.
"""

from __future__ import annotations

import io
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from models.errors import FewmarkError
from models.files.hashing import HASHES
from tracker.cli.bench import bench
from tracker.cli.console import emit, fail
from tracker.cli.evaluate import calibrate, evaluate, evaluate_video
from tracker.cli.export import build_engine, export
from tracker.cli.gui import live, open_videos, open_window
from tracker.cli.inspect import doctor, list_models
from tracker.cli.label_faces import label_faces
from tracker.cli.model_files import attach_autoencoder, import_published
from tracker.cli.prepare import prepare_faces
from tracker.cli.track import demo, track
from tracker.cli.train import train_app
from tracker.machine.allocator import give_frames_back, limit_arenas
from tracker.machine.cache_folder import cache_folder
from tracker.version import fewmark_version


class _Commands(TyperGroup):
    """Turns what ends a subcommand into an exit code; left to typer, Ctrl-C would be code 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except FewmarkError as error:
            fail(str(error))
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            fail("stopped")
            raise typer.Exit(130) from None


app = typer.Typer(
    name="fewmark",
    cls=_Commands,
    help="Real-time face-landmark tracking that you can teach with ten images. Without a command it opens the window.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(live)
app.command("open")(open_videos)
app.command()(track)
app.command()(demo)
app.command(short_help="Measure what tracking costs on this machine.")(bench)
app.command()(doctor)
app.command("models")(list_models)
app.command(short_help="Measure models on labelled faces.")(evaluate)
app.command("evaluate-video", short_help="Measure jitter and lag on a video.")(evaluate_video)
app.command(short_help="Make a model's confidences mean something.")(calibrate)
app.command(short_help="Write a model as ONNX or OpenVINO, for other programs.")(export)
app.command("build-engine", short_help="Build a model's engine ahead of time.")(build_engine)
app.command("import-3fabrec")(import_published)
app.command("attach-autoencoder", short_help="Give a model the autoencoder that shows its reconstructions.")(
    attach_autoencoder
)
app.command("label-faces", short_help="Have a model label faces for a smaller one.")(label_faces)
app.command("prepare-faces", short_help="Cut faces out of images, for training without labels.")(prepare_faces)
app.add_typer(train_app, name="train")


def _print_version(wanted: bool) -> None:
    if wanted:
        emit(f"fewmark {fewmark_version()}")
        raise typer.Exit


@app.callback()
def _fewmark(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """Opens the window where no command is named."""
    if context.invoked_subcommand != "train":
        give_frames_back()
    if context.invoked_subcommand is None:
        open_window()


def main() -> None:
    """Entry point."""
    limit_arenas()
    HASHES.keep_in(cache_folder() / "hashes.json")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file name may hold what the terminal can't show
    app()
