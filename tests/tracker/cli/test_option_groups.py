"""Groups of options, as typer understands them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from tracker.cli.option_groups import with_option_groups


@dataclass(frozen=True, slots=True)
class Size:
    width: Annotated[int, typer.Option("--width", "-w", min=1, help="In pixels.")] = 4
    height: int = 3

    @property
    def area(self) -> int:
        return self.width * self.height


@dataclass(frozen=True, slots=True)
class Colour:
    name: str | None = None


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer(rich_markup_mode=None)

    @app.command()
    @with_option_groups
    def paint(place: str, loud: bool = False, *, size: Size, times: int = 1, colour: Colour) -> None:
        """Paints a place."""
        print(place, size.area * times, colour, loud)

    return app


def test_a_command_is_given_its_groups(app: typer.Typer) -> None:
    run = CliRunner().invoke(app, ["wall"])
    assert run.stdout == "wall 12 Colour(name=None) False\n", run.output
    run = CliRunner().invoke(app, ["wall", "-w", "5", "--name", "red", "--times", "2", "--loud"])
    assert run.stdout == "wall 30 Colour(name='red') True\n", run.output


def test_options_of_groups_stand_among_the_others_in_order(app: typer.Typer) -> None:
    told = CliRunner().invoke(app, ["--help"]).stdout
    assert "Paints a place." in told
    assert "In pixels." in told
    shown = re.findall(r"^  .*?--(\w+)", told.partition("Options:")[2], re.MULTILINE)
    assert shown[:5] == ["loud", "width", "height", "times", "name"]


def test_limits_of_options_in_groups_hold(app: typer.Typer) -> None:
    run = CliRunner().invoke(app, ["wall", "--width", "0"])
    assert run.exit_code == 2
    assert "width" in run.stderr
