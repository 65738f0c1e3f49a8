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
from tracker.cli.bench import bench
from tracker.cli.console import emit, fail
from tracker.cli.inspect import doctor, list_models
from tracker.cli.track import demo, track
from tracker.cli.train import evaluate, import_published, train_app
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
    help="Real-time face-landmark tracking that you can teach with ten images.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(track)
app.command()(demo)
app.command(short_help="Measure what tracking costs on this machine.")(bench)
app.command()(doctor)
app.command("models")(list_models)
app.command(short_help="Measure a model on labelled faces.")(evaluate)
app.command("import-3fabrec")(import_published)
app.add_typer(train_app, name="train")


def _print_version(wanted: bool) -> None:
    if wanted:
        emit(f"fewmark {fewmark_version()}")
        raise typer.Exit


@app.callback()
def _fewmark(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """Real-time face-landmark tracking that you can teach with ten images."""


def main() -> None:
    """Entry point."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file name may hold what the terminal can't show
    app()
