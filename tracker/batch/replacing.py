"""A run's files take the place of an earlier run's once they are whole."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from models.errors import FewmarkError


@contextmanager
def written_aside(out: Path, stem: str, paths: Mapping[str, Path]) -> Iterator[dict[str, Path]]:
    """The same kinds and names in a folder inside ``out``, for as long as they are written.

    What still lies there at the end is deleted; a killed run leaves it to the next one of that stem.

    Raises:
        FewmarkError: the folder can't be made.
    """
    folder = out / f".{stem}.new"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise FewmarkError(
            f"{folder}: cannot be made ({error.strerror}); choose a folder that you may write to"
        ) from error
    try:
        yield {kind: folder / path.name for kind, path in paths.items()}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def move_into_place(aside: Mapping[str, Path], paths: Mapping[str, Path]) -> None:
    """Moves what was written to where it belongs; of the same name, a file is replaced and a folder is added to.

    Raises:
        FewmarkError: a file can't be replaced.
    """
    for kind, path in paths.items():
        new = aside[kind]
        pairs = [(new, path)]
        if new.is_dir():
            path.mkdir(exist_ok=True)
            pairs = [(file, path / file.name) for file in new.iterdir()]
        for source, target in pairs:
            try:
                if source.exists():
                    source.replace(target)
            except OSError as error:
                raise FewmarkError(
                    f"{target}: could not be replaced ({error.strerror}); close the program that has it open and run "
                    "again"
                ) from error
