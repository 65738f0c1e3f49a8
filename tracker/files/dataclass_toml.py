"""Frozen dataclass trees to TOML and back, with errors that name the key."""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import tomli_w

from models.errors import FewmarkError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class OneOf:
    """Marks a field, ``Annotated[Base, OneOf(...)]``, whose table says by a key of its own which dataclass it is."""

    key: str  # "kind"
    choices: Callable[[], Mapping[str, type]]  # name -> dataclass; asked whenever a table is read or written
    default: str  # where the table does not say
    withheld: tuple[str, ...] = ()  # fields that no table may say, because something else determines them


def load_toml(cls: type[T], path: Path) -> T:
    """Reads ``path`` into the dataclass ``cls``.

    Raises:
        FewmarkError: unreadable, not TOML, an unknown or missing key, or a value of the wrong type.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FewmarkError(f"{path}: not a readable TOML file ({error})") from error
    return from_mapping(cls, data, str(path))


def from_mapping(cls: type[T], data: dict[str, Any], where: str, withheld: tuple[str, ...] = ()) -> T:
    """Builds the dataclass ``cls`` from nested plain values; ``where`` begins the error messages.

    Args:
        withheld: fields that ``data`` may not name.
    """
    fields = {f.name: f for f in dataclasses.fields(cls) if f.name not in withheld}  # type: ignore[arg-type]
    hints = get_type_hints(cls, include_extras=True)
    if unknown := sorted(set(data) - set(fields)):
        near = difflib.get_close_matches(unknown[0], fields, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(fields)}"
        raise FewmarkError(f"{where}: unknown key {unknown[0]!r}; {hint}")
    values = {name: _convert(hints[name], value, f"{where}: {name}") for name, value in data.items()}
    missing = [
        name
        for name, f in fields.items()
        if name not in values and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise FewmarkError(f"{where}: key {missing[0]!r} is missing")
    return cls(**values)


def to_mapping(config: Any) -> dict[str, Any]:
    """Nested plain values of a dataclass tree; fields that are None are left out, as TOML has no null."""

    def plain(value: Any, hint: Any = None) -> Any:
        if one_of := _one_of(hint):
            name = next(name for name, kind in one_of.choices().items() if kind is type(value))
            told = to_mapping(value).items()
            return {one_of.key: name} | {key: v for key, v in told if key not in one_of.withheld}
        if dataclasses.is_dataclass(value):
            return to_mapping(value)
        if isinstance(value, tuple | list):
            return [plain(v) for v in value]
        return str(value) if isinstance(value, Path) else value

    hints = get_type_hints(type(config), include_extras=True)
    values = {f.name: getattr(config, f.name) for f in dataclasses.fields(config)}
    return {name: plain(value, hints[name]) for name, value in values.items() if value is not None}


def dump_toml(config: Any, path: Path) -> None:
    """Writes a dataclass tree as TOML."""
    path.write_text(tomli_w.dumps(to_mapping(config)), encoding="utf-8")


def _one_of(hint: Any) -> OneOf | None:
    return next((m for m in getattr(hint, "__metadata__", ()) if isinstance(m, OneOf)), None)


def _convert(hint: Any, value: Any, where: str) -> Any:
    if one_of := _one_of(hint):
        if not isinstance(value, dict):
            raise FewmarkError(f"{where}: a table is expected, not {value!r}")
        name, choices = value.get(one_of.key, one_of.default), one_of.choices()
        if name not in choices:
            raise FewmarkError(f"{where}: {one_of.key}: {name!r} is not one of {', '.join(map(repr, choices))}")
        rest = {key: v for key, v in value.items() if key != one_of.key}
        return from_mapping(choices[name], rest, f"{where} ({name})", one_of.withheld)
    origin = get_origin(hint)
    if origin in (typing.Union, types.UnionType):  # Optional[X]: TOML never holds None
        inner = [a for a in get_args(hint) if a is not type(None)]
        return _convert(inner[0], value, where)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, dict):
            raise FewmarkError(f"{where}: a table is expected, not {value!r}")
        return from_mapping(hint, value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise FewmarkError(f"{where}: a list is expected, not {value!r}")
        args = get_args(hint)
        kinds = [args[0]] * len(value) if args[-1] is Ellipsis else list(args)
        if len(kinds) != len(value):
            raise FewmarkError(f"{where}: {len(kinds)} values are expected, not {len(value)}")
        return tuple(_convert(k, v, where) for k, v in zip(kinds, value, strict=True))
    if origin is typing.Literal:
        if value not in get_args(hint):
            raise FewmarkError(f"{where}: {value!r} is not one of {', '.join(map(repr, get_args(hint)))}")
        return value
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint in (int, float, str, bool) and type(value) is hint:
        return value
    raise FewmarkError(f"{where}: {getattr(hint, '__name__', hint)} is expected, not {value!r}")
