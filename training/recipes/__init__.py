"""Recipes: how each shipped checkpoint was made, runnable."""

from __future__ import annotations

from pathlib import Path

from models.errors import FewmarkError

_FOLDER = Path(__file__).parent


def find_recipe(name_or_path: Path) -> Path:
    """A recipe file: a path, or the name of a shipped one.

    Raises:
        FewmarkError: there is none.
    """
    if name_or_path.is_file():
        return name_or_path
    shipped = _FOLDER / f"{name_or_path.name.removesuffix('.toml')}.toml"
    if len(name_or_path.parts) == 1 and shipped.is_file():
        return shipped
    names = ", ".join(sorted(p.stem for p in _FOLDER.glob("*.toml")))
    raise FewmarkError(f"{name_or_path}: no such recipe; shipped: {names}")
