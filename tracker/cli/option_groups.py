"""Options that belong together, declared once as the fields of a dataclass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any, get_type_hints


def with_option_groups(command: Callable[..., None]) -> Callable[..., None]:
    """A command for typer whose dataclass parameters are options, one a field; it is called with the dataclasses.

    Every field needs a default value. The options stand in the help in the order of the parameters.
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, tuple[Callable[..., Any], list[str]]] = {}
    options: list[Parameter] = []
    for name, parameter in signature(command).parameters.items():
        if is_dataclass(kind := hints[name]):
            of_fields = get_type_hints(kind, include_extras=True)
            members = [
                Parameter(field.name, Parameter.KEYWORD_ONLY, default=field.default, annotation=of_fields[field.name])
                for field in fields(kind)
            ]
            groups[name] = hints[name], [member.name for member in members]
            options += members
        else:
            options.append(parameter.replace(kind=Parameter.KEYWORD_ONLY, annotation=kind))

    @wraps(command)
    def called_by_typer(**given: Any) -> None:
        made = {name: kind(**{field: given.pop(field) for field in names}) for name, (kind, names) in groups.items()}
        command(**given, **made)

    called_by_typer.__signature__ = Signature(options)  # type: ignore[attr-defined]
    called_by_typer.__annotations__ = {option.name: option.annotation for option in options}
    return called_by_typer
