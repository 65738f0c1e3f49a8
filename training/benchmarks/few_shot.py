"""The few-shot protocol of 3FabRec (section 4.5, tables 4 to 6): the same recipe with fewer and fewer labelled faces.

Every run draws its own faces; the smaller sets of a run are part of its larger ones. All runs are measured on the same
held-out faces.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rich.table import Table

from models.errors import FewmarkError
from tracker.files.dataclass_toml import to_mapping
from training.config import LandmarkRecipe
from training.datasets import FaceSample
from training.engine.processes import Processes
from training.stages.landmark_stage import read_faces, train_on_faces

Size = int | Literal["all"]
PROTOCOL_SIZES: tuple[Size, ...] = (1, 10, 50, 158, 315, 630, "all")
RESULT_FILE = "result.json"


@dataclass(frozen=True, slots=True)
class FewShotRow:
    """The runs with one number of labelled faces."""

    size: Size
    faces: int
    nme_percent: tuple[float, ...]  # one a run
    failure_rate_percent: tuple[float, ...]  # at 10 %

    @property
    def mean(self) -> float:
        return statistics.fmean(self.nme_percent)

    @property
    def deviation(self) -> float:
        """Standard deviation over runs, of the sample; 0 for one run."""
        return statistics.stdev(self.nme_percent) if len(self.nme_percent) > 1 else 0.0


def parse_sizes(text: str) -> tuple[Size, ...]:
    """ "1,10,all" to (1, 10, "all").

    Raises:
        FewmarkError: a part is neither a positive number nor "all".
    """
    sizes: list[Size] = []
    for part in text.split(","):
        if part.strip() == "all":
            sizes.append("all")
        elif part.strip().isdecimal() and int(part) > 0:
            sizes.append(int(part))
        else:
            raise FewmarkError(f"--sizes {text}: {part!r} is neither a positive number nor all")
    return tuple(sizes)


def run_few_shot(
    recipe: LandmarkRecipe,
    data_root: Path,
    out: Path,
    *,
    sizes: Sequence[Size] = PROTOCOL_SIZES,
    runs: int = 5,
    processes: Processes | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    report: Callable[[str], None] = print,
) -> list[FewShotRow] | None:
    """Trains and measures every size ``runs`` times; what ``out`` holds already is not done again.

    Writes ``few_shot.json`` (the table) and a folder a run, ``<size>-<run>``, with all that training leaves there.

    Returns:
        A row a size, of earlier calls too; None if it was stopped, to be resumed by the same call.

    Raises:
        FewmarkError: more faces are asked for than there are, no face is held out, or ``out`` belongs to another
            recipe or to other data.
    """
    train, validation = read_faces(recipe, data_root, report)
    if not validation:
        raise FewmarkError(f"{data_root}: no face is held out; set data.validation in the recipe")
    for size in sizes:
        if size != "all" and size > len(train):
            raise FewmarkError(f"--sizes: {size} faces are asked for, {data_root} has {len(train)} to train on")
    _claim(out, recipe, data_root)
    # One number after the other in every size: the first rows of the table are complete first.
    for size in sizes:
        for run in range(runs if size != "all" else min(runs, 1)):
            folder = out / f"{size}-{run}"
            if (folder / RESULT_FILE).is_file():
                continue
            chosen = draw(train, size, recipe.seed + run)
            seeded = dataclasses.replace(recipe, name=f"{recipe.name}-{size}-{run}", seed=recipe.seed + run)
            resume = (folder / "checkpoint.pt").is_file()
            path = train_on_faces(
                seeded, chosen, validation, folder, resume=resume, processes=processes, should_stop=should_stop
            )
            if path is None:
                return None
            _finish(folder, size, len(chosen))
    rows = collect(out)
    (out / "few_shot.json").write_text(json.dumps([dataclasses.asdict(row) for row in rows], indent=1) + "\n")
    return rows


def draw(faces: Sequence[FaceSample], size: Size, seed: int) -> list[FaceSample]:
    """``size`` faces at random; with the same seed a smaller draw is part of a larger one."""
    order = np.random.default_rng(seed).permutation(len(faces))
    return [faces[i] for i in (order if size == "all" else order[:size])]


def collect(out: Path) -> list[FewShotRow]:
    """The rows that the finished runs in a folder make, the smallest size first."""
    found: dict[Size, list[dict[str, Any]]] = {}
    for path in sorted(out.glob(f"*-*/{RESULT_FILE}"), key=lambda path: int(path.parent.name.partition("-")[2])):
        result = json.loads(path.read_text(encoding="utf-8"))
        found.setdefault(result["size"], []).append(result)
    rows = []
    for size, results in found.items():
        nme, failed = (tuple(float(r[key]) for r in results) for key in ("nme_percent", "failure_rate_percent"))
        rows.append(FewShotRow(size, int(results[0]["faces"]), nme, failed))
    return sorted(rows, key=lambda row: row.faces)


def few_shot_table(rows: Sequence[FewShotRow], title: str) -> Table:
    """Mean and standard deviation over the runs of each size."""
    table = Table("labelled faces", "runs", "NME %", "sd", "FR@10 %", title=title)
    for row in rows:
        runs, failed = len(row.nme_percent), statistics.fmean(row.failure_rate_percent)
        deviation = f"{row.deviation:.2f}" if runs > 1 else "-"
        table.add_row(str(row.faces), str(runs), f"{row.mean:.2f}", deviation, f"{failed:.2f}")
    return table


def _claim(out: Path, recipe: LandmarkRecipe, data_root: Path) -> None:
    """Makes the folder this recipe's on these data, or finds that it is."""
    named = {"recipe": to_mapping(recipe), "data": str(data_root.resolve())}
    wanted = json.dumps(named, default=str, indent=1, sort_keys=True)
    marker = out / "protocol.json"
    if marker.is_file():
        if marker.read_text(encoding="utf-8") != wanted:
            raise FewmarkError(f"{out}: holds the runs of another recipe or of other data; choose another --out")
        return
    out.mkdir(parents=True, exist_ok=True)
    marker.write_text(wanted, encoding="utf-8")


def _finish(folder: Path, size: Size, faces: int) -> None:
    """Writes a run's result and lets go of its checkpoint: thirty runs would fill a disk."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    scores = next(line for line in reversed(lines) if "nme_percent" in line)
    result = {
        "size": size,
        "faces": faces,
        "nme_percent": scores["nme_percent"],
        "failure_rate_percent": 100 * scores["failure_rate"],
    }
    partial = folder / f"{RESULT_FILE}.part"
    partial.write_text(json.dumps(result) + "\n", encoding="utf-8")
    partial.replace(folder / RESULT_FILE)
    (folder / "checkpoint.pt").unlink(missing_ok=True)
