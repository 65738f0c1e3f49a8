"""Earlier runs, found by what they were made from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import FewmarkError
from tracker.batch.jobs import Job, stem_candidates
from tracker.batch.settings import Selection
from tracker.batch.sidecar import FORMAT, SIDECAR_SUFFIX, VERSION, describe_source, model_sha256
from tracker.config import TrackerConfig
from tracker.files.dataclass_toml import to_mapping

RESULTS_SUFFIX = ".jsonl"


@dataclass(frozen=True, slots=True, eq=False)
class StoredRun:
    """What a sidecar says of the files beside it."""

    sidecar: Path
    request: dict[str, Any]  # as ``tracker.batch.sidecar.describe_request`` gives it
    files: tuple[Path, ...]
    model: str  # the model's name
    backend: str
    frames: int
    frames_with_face: int
    warnings: tuple[str, ...]

    @property
    def source(self) -> Path:
        """The file or folder that was tracked: where it lay then, or beside these files if it was moved with them."""
        then = Path(self.request["source"])
        folder = self.sidecar.absolute().parent
        places = (then, folder / then.name, folder.parent / then.name)
        return next((place for place in places if place.exists()), then)

    @property
    def results(self) -> Path | None:
        """The file that ``read_results`` reads; None: the run wrote none."""
        return next((file for file in self.files if file.suffix == RESULTS_SUFFIX and file.is_file()), None)

    @property
    def model_file(self) -> str:
        """What ``models.registry.open_model`` opens."""
        return str(self.request["config"]["model"])

    @property
    def film_rate(self) -> float | None:
        """Frames/s at which images were taken for a film."""
        rate = self.request["selection"].get("film_rate")
        return None if rate is None else float(rate)

    def is_of(self, job: Job, selection: Selection) -> bool:
        """Whether it was made from this source as it is now, and from the same frames of it.

        A source that was moved to another folder is still the same.
        """
        return self.request.get("selection") == to_mapping(selection) and _identity(self.request) == _identity(
            describe_source(job)
        )

    def has_config(self, config: TrackerConfig) -> bool:
        """Whether it was made with these settings."""
        return bool(self.request["config"] == to_mapping(config))

    def has_model_file(self) -> bool:
        """Whether the model that made it is still the same."""
        try:
            return bool(self.request.get("model_sha256") == model_sha256(self.model_file))
        except FewmarkError:
            return False


def _identity(source: dict[str, Any]) -> tuple[Any, ...]:
    """What tells a source from others, wherever it lies."""
    facts = (source.get(name) for name in ("source_files", "source_bytes", "source_modified_ns"))
    return (Path(str(source.get("source", ""))).name, *facts)


def read_run(sidecar: Path) -> StoredRun:
    """Reads a sidecar.

    Raises:
        FewmarkError: it can't be read or is none.
    """
    try:
        content = json.loads(sidecar.read_text(encoding="utf-8"))
        if (content["format"], content["version"]) != (FORMAT, VERSION):
            raise ValueError(f"format {content['format']} {content['version']}")
        run = StoredRun(
            sidecar=sidecar,
            request=dict(content["request"]),
            files=tuple(sidecar.parent / Path(name).name for name in content["files"]),
            model=str(content["model"]),
            backend=str(content["backend"]),
            frames=int(content["frames"]),
            frames_with_face=int(content["frames_with_face"]),
            warnings=tuple(map(str, content["warnings"])),
        )
        _ = (run.source, run.model_file, run.film_rate)
    except OSError as error:
        raise FewmarkError(f"{sidecar}: cannot be read ({error.strerror}); check the path") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FewmarkError(f"{sidecar}: not the record of a Fewmark run ({error!r}); open the video itself") from error
    return run


def find_run(job: Job, selection: Selection, folders: Sequence[Path]) -> StoredRun | None:
    """The first run in ``folders`` that was made from this source as it is now and has results to read.

    Raises:
        FewmarkError: the source itself can't be looked at.
    """
    for folder in folders:
        for stem in dict.fromkeys((job.stem, *stem_candidates(job.spec))):
            sidecar = folder / f"{stem}{SIDECAR_SUFFIX}"
            if not sidecar.is_file():
                continue
            try:
                run = read_run(sidecar)
            except FewmarkError:  # of another version, or damaged: as good as none
                continue
            if run.is_of(job, selection) and run.results is not None:
                return run
    return None


def job_into(spec: str, out: Path, taken: Sequence[str] = ()) -> Job:
    """The job whose files in ``out`` overwrite those of no other source.

    Args:
        taken: stems of jobs into the same folder that have written nothing yet.
    """
    job = Job(spec, "")
    used = {stem.casefold() for stem in taken}
    candidates = stem_candidates(spec)
    numbered = (f"{candidates[-1]}_{number}" for number in range(2, 10_000))
    for stem in (*candidates, *numbered):
        if stem.casefold() not in used and not _belongs_to_another(out, stem, job):
            return Job(spec, stem)
    raise FewmarkError(f"{out}: too many results of that name; choose another folder")


def _belongs_to_another(out: Path, stem: str, job: Job) -> bool:
    """Whether files of this stem were made from another source, as far as they say."""
    now = describe_source(job)
    try:
        run = read_run(out / f"{stem}{SIDECAR_SUFFIX}")
        return run.request["source"] != now["source"] and _identity(run.request) != _identity(now)
    except FewmarkError:
        pass  # there is none, or of a run that was stopped: its results say it as well
    try:
        with (out / f"{stem}{RESULTS_SUFFIX}").open(encoding="utf-8") as file:
            named = str(json.loads(file.readline())["source"])
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return bool(named) and Path(named).resolve().as_posix() != now["source"]
