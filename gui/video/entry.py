"""What the video workspace knows of one recording."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from gui.settings.settings_schema import VideoSettings
from models.errors import FewmarkError
from models.registry import open_model
from tracker.batch import SIDECAR_SUFFIX, Job, Selection, plan_jobs
from tracker.batch.progress import TaskStatus
from tracker.batch.results import Moment, ResultsBuilder, StoredResults, least_confident_moments, read_results
from tracker.batch.stored_run import StoredRun, find_run, read_run
from tracker.config import TrackerConfig

RESULTS_FOLDER = "fewmark-results"


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """An earlier run of a recording, read back."""

    run: StoredRun
    results: StoredResults
    moments: tuple[Moment, ...]
    same_settings: bool  # tracking it again now would give the same
    no_heatmaps: str  # why heatmaps can't be made of it; empty: they can
    no_reconstructions: str  # the same of reconstructions

    @property
    def stem(self) -> str:
        """Of its files."""
        return self.run.sidecar.name.removesuffix(SIDECAR_SUFFIX)


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One recording that is open. Changed by replacing it."""

    number: int  # rising, names it
    path: Path
    selection: Selection
    loading: bool = True  # earlier results are being looked for
    loaded: Loaded | None = None
    growing: ResultsBuilder | None = None  # of the task that runs
    task: TaskStatus | None = None  # tracking it, the last time
    problem: str = ""  # why it can't be shown

    @property
    def name(self) -> str:
        return self.path.name or str(self.path)

    @property
    def is_being_processed(self) -> bool:
        return self.task is not None and not self.task.has_ended

    @property
    def results(self) -> StoredResults | None:
        """What there is by now: of the task that runs, else of an earlier run."""
        if self.growing is not None:
            return self.growing.snapshot()
        return self.loaded.results if self.loaded else None


def recordings_in(inputs: Sequence[str], settings: VideoSettings) -> list[tuple[Path, Selection]]:
    """The recordings that files, folders, patterns and records of earlier runs name.

    Raises:
        FewmarkError: one of them is a camera or an address, is not there, or is a record that can't be read.
    """
    found = []
    for spec in inputs:
        if spec.endswith(SIDECAR_SUFFIX):
            run = read_run(Path(spec))
            found.append((run.source, Selection(film_rate=run.film_rate)))
            continue
        for job in plan_jobs([spec]):
            if job.path is None:
                raise FewmarkError(f"{job.name}: not a recording; show cameras and streams in the Live workspace")
            if not os.path.exists(job.path):  # noqa: PTH110  Path.exists raises for names that are too long
                raise FewmarkError(f"{job.path}: no such file or folder; check the path")
            is_film = os.path.isdir(job.path)  # noqa: PTH112  Path.is_dir raises for names that are too long
            found.append((job.path, Selection(film_rate=settings.film_rate if is_film else None)))
    return found


def results_folders(path: Path, settings: VideoSettings) -> list[Path]:
    """Where the results of a recording go, and then where else an earlier run may have put them.

    What the live workspace records has its results in the same folder.
    """
    parent = path.absolute().parent
    beside = parent / RESULTS_FOLDER
    own = Path(platformdirs.user_videos_dir()) / "Fewmark" / RESULTS_FOLDER
    folders = [beside, own, parent] if _is_writable(beside) else [own, beside, parent]
    return [settings.results_folder, *folders] if settings.results_folder else folders


def results_folder(entry: Entry, settings: VideoSettings) -> Path:
    """Where the results of a recording are, or will be."""
    return entry.loaded.run.sidecar.parent if entry.loaded is not None else results_folders(entry.path, settings)[0]


def _is_writable(folder: Path) -> bool:
    return os.access(folder if folder.is_dir() else folder.parent, os.W_OK)


def load_earlier(
    path: Path, selection: Selection, config: TrackerConfig, folders: Sequence[Path], sidecar: Path | None = None
) -> Loaded | None:
    """The results of an earlier run, if there is one. Takes a moment: not for the GUI thread.

    Args:
        sidecar: of the run, where the user has named it.

    Raises:
        FewmarkError: there is one, but it can't be read, or the recording itself can't.
    """
    job = Job(str(path), path.stem)
    run = read_run(sidecar) if sidecar is not None else find_run(job, selection, folders)
    if run is None or run.results is None:
        return None
    if not run.is_of(job, selection):
        raise FewmarkError(f"{path}: changed since {run.sidecar.name} was written; process it again")
    results = read_results(run.results)
    moments = least_confident_moments(results)
    same = run.has_config(config) and run.has_model_file()
    return Loaded(run, results, tuple(moments), same, *_missing_pictures(run, results))


def _missing_pictures(run: StoredRun, results: StoredResults) -> tuple[str, str]:
    """Why there can be no heatmaps, and no reconstructions; empty where they can be made."""
    if not results.has_crops:
        reason = "These results are of an earlier version; process the recording again."
        return reason, reason
    try:
        model = open_model(run.model_file)
    except FewmarkError as error:
        reason = f"The model of these results can't be opened: {error}"
        return reason, reason
    return "", model.why_no_reconstruction
