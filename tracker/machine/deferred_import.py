"""Modules that others import without this program's having a use for them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from types import ModuleType
from typing import Any


@contextmanager
def deferred(*names: str) -> Iterator[None]:
    """Within the block, modules of these names are imported as stand-ins: the real ones come when they are used.

    Modules that are loaded already stay as they are.

    Args:
        names: dotted ones after those that they begin with, as in ``deferred("a", "a.b")``.
    """
    stand_ins = {name: _StandIn(name) for name in names if name not in sys.modules}
    for name, stand_in in stand_ins.items():
        package, _, module = name.rpartition(".")
        if package in stand_ins:
            setattr(stand_ins[package], module, stand_in)
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for stand_in in stand_ins.values():
            stand_in.make_way()


class _StandIn(ModuleType):
    """Bound where a module was imported; whoever asks it for something is given what the module has."""

    def make_way(self) -> None:
        """Leaves the name, and those that it begins with, to the modules themselves."""
        parts = self.__name__.split(".")
        for name in accumulate(parts, "{}.{}".format):
            if isinstance(sys.modules.get(name), _StandIn):
                del sys.modules[name]

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):  # whoever looks through all modules has no use for this one either
            raise AttributeError(attribute)
        self.make_way()  # another thread may import it in earnest meanwhile
        return getattr(importlib.import_module(self.__name__), attribute)
