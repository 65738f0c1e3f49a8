"""The ``fewmark`` command. Every subcommand loads what it needs when it runs: ``--help`` answers at once."""

from __future__ import annotations

import sys

import typer

from models.errors import FewmarkError
from tracker.cli.console import fail
from tracker.cli.inspect import doctor, list_models
from tracker.cli.track import demo, track
from tracker.cli.train import evaluate, import_published, train_app
from tracker.install_check import check_packages_lie_together

app = typer.Typer(
    name="fewmark",
    help="Real-time face-landmark tracking that you can teach with ten images.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(track)
app.command()(demo)
app.command()(doctor)
app.command("models")(list_models)
app.command()(evaluate)
app.command("import-3fabrec")(import_published)
app.add_typer(train_app, name="train")


def main() -> None:
    """Entry point: exit code 2 for what the user can mend, 130 after Ctrl-C."""
    try:
        check_packages_lie_together()
        app(standalone_mode=True)
    except FewmarkError as error:
        fail(str(error))
        sys.exit(2)
    except KeyboardInterrupt:
        fail("stopped")
        sys.exit(130)
