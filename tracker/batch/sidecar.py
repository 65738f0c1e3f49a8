"""The sidecar ``<stem>.fewmark.json``: how the files beside it were made, written once they are complete.

A sidecar that matches what is asked for means that there is nothing left to do: this is how a batch is resumed.
"""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

from models.errors import FewmarkError
from models.files.hashing import HASHES
from models.registry import MODELS
from tracker.batch.jobs import Job
from tracker.batch.settings import OutputChoice, Selection
from tracker.config import TrackerConfig
from tracker.files.dataclass_toml import to_mapping
from tracker.sources.images import list_images
from tracker.version import fewmark_version

SIDECAR_SUFFIX = ".fewmark.json"
FORMAT = "fewmark-run"
VERSION = 1


def describe_request(job: Job, choice: OutputChoice, selection: Selection, config: TrackerConfig) -> dict[str, Any]:
    """All that the results depend on, as plain JSON. The same request of an unchanged file gives the same results.

    Raises:
        FewmarkError: the source's files can't be looked at.
    """
    outputs = dataclasses.asdict(choice) | {"overlays": list(choice.overlays) if choice.video else []}
    return {
        **describe_source(job),
        "selection": to_mapping(selection),
        "outputs": outputs,
        "config": to_mapping(config),
        "model_sha256": model_sha256(config.model),
    }


def model_sha256(name_or_path: str) -> str:
    """Of a shipped model's file, or of a model file.

    Raises:
        FewmarkError: it can't be read.
    """
    entry = MODELS.get(name_or_path)
    try:
        return entry.sha256 if entry else HASHES.sha256(Path(name_or_path))
    except OSError as error:
        raise FewmarkError(f"{name_or_path}: the model file cannot be read ({error.strerror})") from error


def describe_source(job: Job) -> dict[str, Any]:
    """Where a source lies, and by what a change of it is noticed; its files are null where there are none.

    Raises:
        FewmarkError: its files can't be looked at.
    """
    path = job.path
    if path is None or not os.path.exists(path):  # noqa: PTH110  Path.exists raises for names that are too long
        return {"source": job.name, "source_files": None}
    files = list_images(path) if path.is_dir() else [path]
    try:
        stats = [file.stat() for file in files]
    except OSError as error:
        raise FewmarkError(f"{error.filename}: cannot be read ({error.strerror}); check the path") from error
    return {
        "source": path.resolve().as_posix(),
        "source_files": len(files),
        "source_bytes": sum(stat.st_size for stat in stats),
        "source_modified_ns": max(stat.st_mtime_ns for stat in stats),
    }


class Sidecar:
    """The sidecar of one source's files in ``out``, as it stands there; unreadable counts as none."""

    def __init__(self, out: Path, stem: str) -> None:
        self.path = out / f"{stem}{SIDECAR_SUFFIX}"
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            self._request: dict[str, Any] = dict(content["request"])
            self._files = [out / name for name in content["files"]]
        except (OSError, ValueError, KeyError, TypeError):
            self._request, self._files = {}, []

    def finished_files(self, request: dict[str, Any]) -> list[Path] | None:
        """The files that the request would make, None if they have to be made."""
        if request["source_files"] is None:  # a camera's or a stream's next frames are others
            return None
        return self._files if self.is_whole and self._request == request else None

    @property
    def is_whole(self) -> bool:
        """Whether it says that a run ended well, and the files of that run are there."""
        return bool(self._files) and all(file.exists() for file in self._files)

    def check_same_source(self, request: dict[str, Any]) -> None:
        """Raises FewmarkError if the files were made from another source: they would be lost."""
        other = self._request.get("source", request["source"])
        if other != request["source"]:
            raise FewmarkError(
                f"{self.path}: its files were made from {other}, not from {request['source']}; "
                "choose another --out, or pass --overwrite to replace them"
            )

    def remove(self) -> None:
        """Before the files change. Raises FewmarkError where the folder may not be written to."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise FewmarkError(
                f"{self.path}: cannot be removed ({error.strerror}); choose a folder that you may write to"
            ) from error

    def write(self, request: dict[str, Any], files: list[Path], facts: dict[str, Any]) -> None:
        """Raises FewmarkError where it can't be written."""
        content = {
            "format": FORMAT,
            "version": VERSION,
            "fewmark": fewmark_version(),
            "request": request,
            "files": [file.name for file in files],
            **facts,
        }
        try:
            # ASCII, as a file name may hold what UTF-8 can't carry.
            self.path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise FewmarkError(
                f"{self.path}: cannot be written ({error.strerror}); the results beside it are complete"
            ) from error
