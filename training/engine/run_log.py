"""What a training run tells while it runs: recipe, metrics as JSON lines, a progress bar.

Of several processes only the main one tells.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text
from torch import Tensor

from tracker.files.dataclass_toml import dump_toml, to_mapping


class RunLog:
    """Writes ``recipe.toml`` and ``metrics.jsonl`` into the folder of a run."""

    def __init__(self, folder: Path, recipe: Any, is_main: bool) -> None:
        self.is_main = is_main
        self._file = folder / "metrics.jsonl"
        self._bar: Progress | None = None
        if is_main:
            folder.mkdir(parents=True, exist_ok=True)
            dump_toml(recipe, folder / "recipe.toml")

    def write(self, **values: float) -> None:
        """One line of metrics, on disk when this returns."""
        if self.is_main:
            rounded = {k: round(v, 6) if isinstance(v, float) else v for k, v in values.items()}
            with self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(rounded) + "\n")

    def say(self, text: str) -> None:
        """One line for a person, above the progress bar."""
        if self._bar is not None:
            self._bar.print(Text(text), soft_wrap=True)

    @contextmanager
    def progress(self, name: str, total: int, completed: int) -> Iterator[Callable[[int, str], None]]:
        """A bar for the block; call what it yields with the steps done and a short text."""
        if not self.is_main:
            yield lambda _step, _text: None
            return
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(name, total=total, completed=completed)
            self._bar = bar
            try:
                yield lambda step, text: bar.update(task, completed=step, description=f"{name}: {text}")
            finally:
                self._bar = None


def provenance_of(recipe: Any, precision: str, **facts: Any) -> dict[str, Any]:
    """How something was trained, as plain JSON that travels with it.

    Args:
        recipe: without folders of this machine.
        facts: counts of faces, measures.
    """
    made_on = {"precision": precision, "torch": torch.__version__, "machine": platform.machine()}
    return {"recipe": to_mapping(recipe), **facts, **made_on}


class RunningMeans:
    """Means of named losses since they were last taken."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self.count = 0  # steps

    def add(self, losses: Mapping[str, Tensor]) -> None:
        """The losses of one step; one that is new counts from its first step on."""
        self.count += 1
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + value.item()

    def take(self) -> dict[str, float]:
        """The means; the next ones begin."""
        means = {name: total / self.count for name, total in self._sums.items()}
        self._sums, self.count = {}, 0
        return means
