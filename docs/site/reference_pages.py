"""MkDocs hook: the reference of commands, out of the command line itself, and of public names, out of the code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from typer.core import TyperCommand, TyperGroup

from tracker.cli import app

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("models", "tracker", "training")  # nobody builds upon the window
LIBRARY = "tracker"  # its own names are the surface for scripts, and stand in the nav by themselves


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Lists the rooms."""
    config.nav.append({"Rooms": [{room: f"reference/{room}.md"} for room in _public_names() if room != LIBRARY]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the page of the commands and one for every room."""
    files.append(File.generated(config, "reference/commands.md", content="\n".join(_commands())))
    for room, names in _public_names().items():
        entries = "\n\n".join(f"::: {room}.{name}" for name in names)
        files.append(File.generated(config, f"reference/{room}.md", content=f"# {room}\n\n{entries}\n"))
    return files


def _public_names() -> dict[str, list[str]]:
    """What each package lists in its ``__all__``, constants left out, by the package's dotted name."""
    rooms = {}
    for package in ROOMS:
        for path in sorted((ROOT / package).rglob("__init__.py")):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                    names = [name for name in ast.literal_eval(node.value) if not name.isupper()]
                    functions_first = sorted(names, key=lambda name: name[0].isupper())
                    rooms[".".join(path.parent.relative_to(ROOT).parts)] = functions_first
    return rooms


def _commands() -> Iterator[str]:
    """The page of all commands, line by line."""
    yield "# Commands\n\n`fewmark COMMAND --help` says the same in the terminal.\n"
    group = typer.main.get_group(app)
    yield from _entries(group, typer.Context(group, info_name="fewmark"))


def _entries(command: TyperGroup | TyperCommand, context: typer.Context) -> Iterator[str]:
    """A command's section and those of its subcommands."""
    yield f"## {context.command_path}\n\n{_escaped(command.help or '')}\n"
    yield f"```text\n{' '.join(context.get_usage().split()[1:])}\n```\n"
    records = [record for parameter in command.get_params(context) if (record := parameter.get_help_record(context))]
    yield "| argument, option | |\n|---|---|"
    for name, told in records:
        yield f"| `{name}` | {_escaped(told)} |"
    yield ""
    for name in command.list_commands(context) if isinstance(command, TyperGroup) else ():
        subcommand = command.get_command(context, name)
        assert isinstance(subcommand, TyperGroup | TyperCommand)
        yield from _entries(subcommand, typer.Context(subcommand, info_name=name, parent=context))


def _escaped(text: str) -> str:
    """Help as Markdown, which reads some of what a terminal shows as it stands."""
    return text.replace("<", "&lt;").replace("|", "\\|").replace("[", "\\[")
