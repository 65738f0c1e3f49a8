"""Are the packages that Python would import ours? Their names are generic enough that others use them too.

Imports nothing but the standard library, so that it runs before anything of ``models`` or ``training`` is imported.
"""

from __future__ import annotations

import importlib.util
from importlib.machinery import ModuleSpec
from pathlib import Path

PACKAGES = ("tracker", "models", "gui", "training")


class InstallError(Exception):
    """The installation is broken. Not a ``FewmarkError``, because ``models``, where that lies, may be the intruder."""


def check_packages_lie_together() -> None:
    """Checks, without importing them, that all top-level packages lie beside this one: in a checkout, in site-packages.

    Raises:
        InstallError: A package is missing, or a package or module of the same name hides it. The message names the
            intruder's path and says what to do.
    """
    home = Path(__file__).resolve().parents[2]
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        if spec is None:
            raise InstallError(f"package `{name}` is missing from {home}: install Fewmark again")
        found = _place(spec)
        if found != home / name:
            raise InstallError(
                f"{found} hides Fewmark's own package `{name}` in {home}: remove or rename it, start the command from "
                f"another directory, take its directory out of PYTHONPATH, or install Fewmark into a virtual "
                f"environment of its own"
            )


def _place(spec: ModuleSpec) -> Path:
    """A package's directory, or a plain module's file."""
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations))).resolve()
    return Path(spec.origin or spec.name).resolve()
