"""Griffe extension: the comment behind a field describes it, as in ``width: int  # px``."""

from __future__ import annotations

import io
import tokenize
from collections.abc import Iterator
from typing import Any

import griffe


class FieldComments(griffe.Extension):
    """Lists a class's fields under its docstring, each with the comment that stands beside it.

    Comes after griffe's own extension ``dataclasses``, which makes the signatures of the same fields.
    """

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        for cls in _classes(pkg):
            attributes = [member for member in cls.members.values() if isinstance(member, griffe.Attribute)]
            bare = [a for a in attributes if not a.docstring and "property" not in a.labels]
            fields = [a for a in bare if a.annotation is not None and not a.name.startswith("_")]
            if fields and cls.docstring:
                lines = "".join(f"\n    {f.name} ({f.annotation}): {_comment(f.source)}" for f in fields)
                cls.docstring.value += f"\n\nAttributes:{lines}"
            for attribute in bare:  # else each would have an entry of its own besides
                del cls.members[attribute.name]


def _classes(module: griffe.Module | griffe.Class) -> Iterator[griffe.Class]:
    for member in list(module.members.values()):
        if isinstance(member, griffe.Class):
            yield member
        if isinstance(member, griffe.Module | griffe.Class):
            yield from _classes(member)


def _comment(source: str) -> str:
    """The comments of a statement and of the lines that go on below it."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return " ".join(token.string.lstrip("#^ ") for token in tokens if token.type == tokenize.COMMENT)
