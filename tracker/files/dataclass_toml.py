"""Frozen dataclass trees to TOML and back, with errors that name the key."""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
import types
import typing
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import tomli_w

from models.errors import FewmarkError

T = TypeVar("T")


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


def from_mapping(cls: type[T], data: dict[str, Any], where: str) -> T:
    """Builds the dataclass ``cls`` from nested plain values; ``where`` begins the error messages."""
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    hints = get_type_hints(cls)
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

    def plain(value: Any) -> Any:
        if dataclasses.is_dataclass(value):
            return to_mapping(value)
        if isinstance(value, tuple | list):
            return [plain(v) for v in value]
        return str(value) if isinstance(value, Path) else value

    values = {f.name: getattr(config, f.name) for f in dataclasses.fields(config)}
    return {name: plain(value) for name, value in values.items() if value is not None}


def dump_toml(config: Any, path: Path) -> None:
    """Writes a dataclass tree as TOML."""
    path.write_text(tomli_w.dumps(to_mapping(config)), encoding="utf-8")


def _convert(hint: Any, value: Any, where: str) -> Any:
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
