"""Prints constraints for pip: the oldest versions that pyproject.toml allows for what a user installs, extras included.

What only developers need stays as .ci/lock.txt has it. What those need in turn is free: pip takes what fits.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOR_DEVELOPERS = {"dev", "docs"}
REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)>=(?P<lowest>[\w.]+)[^;]*(?P<marker>;.*)?")


def main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras: dict[str, list[str]] = project["optional-dependencies"]
    lowest = {}
    for requirement in (*project["dependencies"], *_of(extras, extras.keys() - FOR_DEVELOPERS)):
        parts = REQUIREMENT.fullmatch(requirement)
        if parts is None:
            raise SystemExit(f"pyproject.toml: {requirement}: has no lower bound; give it one, as name>=version")
        lowest[_normalised(parts["name"])] = f"{parts['name']}=={parts['lowest']}{parts['marker'] or ''}"
    tools = {_normalised(re.split(r"[^\w.-]", requirement)[0]) for requirement in _of(extras, FOR_DEVELOPERS)}
    for line in (ROOT / ".ci" / "lock.txt").read_text(encoding="utf-8").splitlines():
        name = _normalised(line.partition("==")[0])
        if name in tools and name not in lowest:
            lowest[name] = line
    print(*lowest.values(), sep="\n")


def _of(extras: dict[str, list[str]], chosen: Iterable[str]) -> Iterator[str]:
    """The requirements of some extras."""
    for extra in sorted(chosen):
        yield from extras[extra]


def _normalised(name: str) -> str:
    """The name of a distribution as PEP 503 writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    main()
