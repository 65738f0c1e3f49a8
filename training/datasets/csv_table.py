"""A CSV table: a face a row, told by the names in the header. Columns in any order; others are passed over.

| column | what |
|---|---|
| ``image`` (or ``image_path``, ``image_name``, ``file``, ``filename``, ``path``) | relative to the table, or absolute |
| ``x_0 .. x_67, y_0 .. y_67`` (OpenFace) or ``x0, y0, x1, y1 ...`` | pixels, (0, 0) is the centre of the top-left one |
| ... or ``0_x, 0_y ...``, ``original_0_x, original_0_y ...`` (HRNet's tables) | the same |
| ... or ``left_eye_x, left_eye_y, nose_tip_x ...`` | the same, with names of one's own |
| ``visible_0``, ``v_0``, ``v0`` or ``left_eye_visible``, ``left_eye_v`` | optional; 0 or nothing: not labelled |
| ``split`` | optional: train or test |
| ``subset`` | optional: for tables by subset |
| ``group`` | optional: a person or a film, which is never split; default: the image |

An empty coordinate is a landmark that isn't labelled. Commas, semicolons or tabs; UTF-8.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.errors import FewmarkError
from models.landmark_schemes import LandmarkScheme
from training.datasets.base import DatasetReport, FaceSample, Split, labelled, reading
from training.datasets.dataset import Dataset
from training.datasets.own_schemes import scheme_of

IMAGE_COLUMNS = ("image", "image_path", "image_name", "file", "filename", "path")
_X_OPENFACE, _X_NUMBERED, _X_NAMED = re.compile(r"x_?(\d+)"), re.compile(r"(\w+_)?(\d+)_x"), re.compile(r"(\w+)_x")
_NOT_VISIBLE = ("", "0", "0.0", "false", "no")


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where in a row things stand, by name of the column."""

    image: str
    points: tuple[tuple[str, str], ...]  # (K,) of x and y
    visible: tuple[str | None, ...]  # (K,)
    scheme: LandmarkScheme


def read_csv(root: Path, split: Split) -> DatasetReport:
    """The faces of one table, or of all tables of a folder.

    Where a table has no ``split`` column its name decides: test faces if it holds the word "test", else training faces.

    Raises:
        FewmarkError: there is no table, or one is unreadable or has no image or no landmarks in its header.
    """
    paths = [root] if root.is_file() else sorted(root.glob("*.csv"))
    if not paths:
        raise FewmarkError(f"{root}: no .csv file here; pass the file, or the folder that holds it")
    report = DatasetReport()
    for path in paths:
        header, rows = _read_table(path)
        columns = _columns(path, header)
        part_by_name = "test" if "test" in path.stem.lower() else "train"
        for line, row in reading(rows, path.name):
            where = f"{path.name}, line {line}"
            part = row.get("split", part_by_name).strip().lower()
            if part not in ("train", "test"):
                report.skipped.append(f"{where}: split {part!r} is neither train nor test")
            elif split in (part, "all"):
                try:
                    report.add(_face(path, row, columns), where)
                except ValueError as error:
                    report.skipped.append(f"{where}: {error}")
    return report


def _read_table(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """(names of the columns, (line number, row) of each face)."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            table = csv.reader(file, delimiter=max(",;\t", key=first.count), skipinitialspace=True)
            header = [name.strip() for name in next(table, [])]
            # A short row lacks its last columns, which _face tells.
            rows = [(table.line_num, dict(zip(header, row, strict=False))) for row in table if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FewmarkError(f"{path}: not a readable CSV table ({error}); it should be UTF-8") from error
    return header, rows


def _columns(path: Path, header: list[str]) -> _Columns:
    """What the names in the header mean."""
    image = next((name for name in IMAGE_COLUMNS if name in header), None)
    if image is None:
        raise FewmarkError(f"{path}: no column with the image's path (one of {', '.join(IMAGE_COLUMNS)})")
    found = _x_columns(header)
    x_columns = dict(found)
    if not x_columns:
        raise FewmarkError(f"{path}: no landmarks among its columns (x_0, y_0 ... or nose_tip_x, nose_tip_y ...)")
    if len(x_columns) < len(found):
        raise FewmarkError(f"{path}: two columns for the x of one landmark, among {found[0][1]} ... {found[-1][1]}")
    names = sorted(x_columns, key=int) if all(map(str.isdecimal, x_columns)) else list(x_columns)
    points = [(x_columns[name], _y_column(x_columns[name])) for name in names]
    if missing := [y for _, y in points if y not in header]:
        raise FewmarkError(f"{path}: column {missing[0]} is missing")
    visible = [next((column for column in _visible_columns(name) if column in header), None) for name in names]
    return _Columns(image, tuple(points), tuple(visible), scheme_of(path, names))


def _x_columns(header: list[str]) -> list[tuple[str, str]]:
    """(name of the landmark, name of the column with its x) of each landmark."""
    if openface := [match for name in header if (match := _X_OPENFACE.fullmatch(name))]:
        return [(match[1], match[0]) for match in openface]  # such tables have gaze_0_x as well, which is no landmark
    named = [match for name in header if (match := _X_NAMED.fullmatch(name))]
    numbered = [match for column in named if (match := _X_NUMBERED.fullmatch(column[0]))]
    # Where several words precede the numbers, as in brow_1_x and lip_1_x, they belong to the names.
    if len(numbered) == len(named) and len({match[1] for match in numbered}) == 1:
        return [(match[2], match[0]) for match in numbered]
    return [(match[1], match[0]) for match in named]


def _y_column(x_column: str) -> str:
    return f"y{x_column[1:]}" if _X_OPENFACE.fullmatch(x_column) else f"{x_column[:-1]}y"


def _visible_columns(name: str) -> tuple[str, ...]:
    return f"visible_{name}", f"v_{name}", f"v{name}", f"{name}_visible", f"{name}_v"


def _face(path: Path, row: dict[str, str], columns: _Columns) -> FaceSample:
    """The face of one row. ValueError: a value is missing or of the wrong form."""
    try:
        cells = [(row[x].strip(), row[y].strip()) for x, y in columns.points]
        visible = [column is None or row[column].strip().lower() not in _NOT_VISIBLE for column in columns.visible]
    except KeyError as error:
        raise ValueError(f"the row ends before column {error.args[0]}") from error
    if halves := [names for (x, y), names in zip(cells, columns.points, strict=True) if bool(x) != bool(y)]:
        raise ValueError("only one has a value of {} and {}".format(*halves[0]))
    points = np.array([(float(x or "nan"), float(y or "nan")) for x, y in cells], dtype=np.float32)
    image = row[columns.image].strip()
    return FaceSample(
        image_path=path.parent / image,
        points=points,
        visible=labelled(points) & np.array(visible),
        scheme=columns.scheme,
        subset=row.get("subset", path.stem),
        group=row.get("group", image),
    )


CSV = Dataset(
    name="csv",
    summary="a CSV table: a face a row, any landmarks",
    reader=read_csv,
    scheme=None,
    normaliser=None,
)
