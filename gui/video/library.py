"""The recordings that are open, and what is done with them in the background."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from time import monotonic

from PyQt6.QtCore import QObject, QTimer, pyqtSignal

from gui.services import Action, Level, Services
from gui.show_in_folder import show_in_folder
from gui.tracker_bridge import Doorbell
from gui.video.entry import Entry, Loaded, load_earlier, recordings_in, results_folders
from models.errors import FewmarkError
from tracker.batch import SIDECAR_SUFFIX, OutputChoice
from tracker.batch.background import BackgroundQueue, ExportTask, TrackingTask
from tracker.batch.export import ExportChoice, ExportRequest
from tracker.batch.progress import TaskState, TaskStatus
from tracker.batch.results import ResultsBuilder
from tracker.batch.stored_run import job_into
from tracker.overlays import OverlayContext

_LOOK_MS = 100  # statuses are looked at this often while tasks run
_FILES = OutputChoice(csv=True, jsonl=True)


class Library(QObject):
    """Opens recordings, finds their earlier results, and has them processed and exported one after the other."""

    added = pyqtSignal(int)  # number of an entry
    changed = pyqtSignal(int)
    removed = pyqtSignal(int)
    task_changed = pyqtSignal(object)  # TaskStatus of the task that runs or has just ended

    def __init__(self, services: Services, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self._entries: dict[int, Entry] = {}
        self._next_number = 1
        self._owners: dict[int, int] = {}  # task -> entry that it tracks
        self._stems: dict[int, tuple[Path, str]] = {}  # task -> folder and stem that it will write
        self._told: set[int] = set()  # tasks whose end was told
        self._arrived: SimpleQueue[tuple[int, Future[Loaded | None] | ResultsBuilder]] = SimpleQueue()
        self._bell = Doorbell(self)
        self._bell.rung.connect(self._look)
        self._queue = BackgroundQueue(self._bell.ring)
        self._readers = ThreadPoolExecutor(1, thread_name_prefix="read results")
        self._reading: set[Future[Loaded | None]] = set()
        self._last_look = 0.0
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._look_now)
        services.models.changed.connect(self._compare_settings)

    @property
    def entries(self) -> dict[int, Entry]:
        """Number -> entry, in the order in which they were opened."""
        return dict(self._entries)

    def get(self, number: int | None) -> Entry | None:
        return None if number is None else self._entries.get(number)

    # Opening and closing.

    def open(self, inputs: Sequence[str]) -> int | None:
        """Opens recordings; the number of the first of them, None if there is none. What is open stays one entry."""
        settings = self._services.settings.current.video
        first: int | None = None
        for spec in inputs:
            try:
                found = recordings_in([spec], settings)
            except FewmarkError as error:
                self._services.notify(str(error), Level.ERROR)
                continue
            sidecar = Path(spec) if spec.endswith(SIDECAR_SUFFIX) else None
            for path, selection in found:
                same = (e.number for e in self._entries.values() if (e.path, e.selection) == (path, selection))
                number = next(same, None)
                if number is None:
                    number = self._add(Entry(self._next_number, path, selection), sidecar)
                first = number if first is None else first
        return first

    def remove(self, number: int) -> None:
        """Closes a recording; its files stay. A task that tracks it is stopped."""
        entry = self._entries.pop(number, None)
        if entry is None:
            return
        if entry.task is not None:
            self._queue.stop(entry.task.number)
        self.removed.emit(number)

    def mark_broken(self, number: int, problem: str) -> None:
        """It can't be shown; ``problem`` says why."""
        self._replace(replace(self._entries[number], problem=problem))

    def _add(self, entry: Entry, sidecar: Path | None) -> int:
        self._entries[entry.number] = entry
        self._next_number += 1
        self.added.emit(entry.number)
        self._load(entry, sidecar)
        return entry.number

    def _load(self, entry: Entry, sidecar: Path | None = None) -> None:
        config = self._services.models.tracker_config
        folders = results_folders(entry.path, self._services.settings.current.video)
        future = self._readers.submit(load_earlier, entry.path, entry.selection, config, folders, sidecar)
        self._reading = {reading for reading in self._reading if not reading.done()} | {future}
        future.add_done_callback(partial(self._bring, entry.number))

    def _bring(self, number: int, what: Future[Loaded | None] | ResultsBuilder) -> None:
        """From any thread."""
        self._arrived.put((number, what))
        self._bell.ring()

    # Working on them.

    def process(self, numbers: Sequence[int]) -> None:
        """Tracks recordings in the background, in this order, with the settings as they are now."""
        config = self._services.models.tracker_config
        for number in numbers:
            entry = self._entries[number]
            if entry.is_being_processed:
                continue
            out = results_folders(entry.path, self._services.settings.current.video)[0]
            taken = [stem for folder, stem in self._stems.values() if folder == out]
            try:
                job = job_into(str(entry.path), out, taken)
            except FewmarkError as error:
                self._services.notify(str(error), Level.ERROR)
                continue
            task = TrackingTask(job, out, config, _FILES, entry.selection, partial(self._bring, number))
            key = self._queue.submit(task)
            self._owners[key], self._stems[key] = number, (out, job.stem)
            self._replace(replace(entry, task=self._queue.statuses()[key]))

    def stop(self, number: int) -> None:
        """Stops tracking a recording; what was tracked so far is shown, and not taken for a complete run later."""
        entry = self._entries[number]
        if entry.task is not None:
            self._queue.stop(entry.task.number)

    def export(self, number: int, choice: ExportChoice, out: Path, context: OverlayContext) -> None:
        """Makes files of a recording's results, after the tasks before it."""
        entry = self._entries[number]
        if entry.loaded is None:
            return
        run, results = entry.loaded.run, entry.loaded.results
        request = ExportRequest(
            spec=str(entry.path),
            stem=entry.loaded.stem,
            results=results,
            choice=choice,
            out=out,
            context=replace(context, scheme=results.scheme),
            model=run.model_file,
            backend=self._services.models.backend,
            film_rate=entry.selection.film_rate,
            present=run.files,
        )
        self._queue.submit(ExportTask(request))

    def stop_task(self, task: int) -> None:
        """Stops any task by its number."""
        self._queue.stop(task)

    def request_end(self) -> None:
        """Begins to end the threads: files that are being written are completed."""
        self._queue.request_end()
        self._readers.shutdown(wait=False, cancel_futures=True)

    def join(self, timeout_s: float) -> bool:
        """Waits for the end of the threads; whether they ended within ``timeout_s`` each."""
        self._timer.stop()
        _, unfinished = wait([reading for reading in self._reading if not reading.cancelled()], timeout_s)
        return self._queue.join(timeout_s) and not unfinished

    # Hearing of them.

    def _replace(self, entry: Entry) -> None:
        self._entries[entry.number] = entry
        self.changed.emit(entry.number)

    def _look(self) -> None:
        """At most every ``_LOOK_MS``."""
        if self._timer.isActive():
            return
        wait_ms = _LOOK_MS - 1000 * (monotonic() - self._last_look)
        self._timer.start(max(round(wait_ms), 0))

    def _look_now(self) -> None:
        self._last_look = monotonic()
        while not self._arrived.empty():
            number, what = self._arrived.get()
            entry = self._entries.get(number)
            if entry is None:
                continue
            if isinstance(what, ResultsBuilder):
                self._replace(replace(entry, growing=what))
            elif not what.cancelled():
                self._take_loaded(entry, what)
        for key, status in self._queue.statuses().items():
            if key not in self._told:
                self._take_status(key, status)

    def _take_loaded(self, entry: Entry, future: Future[Loaded | None]) -> None:
        try:
            loaded = future.result()
        except FewmarkError as error:
            self._services.notify(str(error), Level.WARNING)
            self._replace(replace(entry, loading=False, loaded=None))
            return
        self._replace(replace(entry, loading=False, loaded=loaded, growing=None if loaded else entry.growing))
        if entry.loading and loaded is None and self._services.settings.current.video.process_at_once:
            self.process([entry.number])

    def _take_status(self, key: int, status: TaskStatus) -> None:
        entry = self._entries.get(self._owners.get(key, -1))
        if entry is not None and entry.task != status:
            # The files are still those of the earlier run, which are shown again.
            back = entry.loaded is not None and status.has_ended and status.state is not TaskState.DONE
            entry = replace(entry, task=status, growing=None if back else entry.growing)
            self._replace(entry)
        if status.state is TaskState.RUNNING or status.has_ended:
            self.task_changed.emit(status)
        if status.has_ended:
            self._told.add(key)
            self._stems.pop(key, None)
            self._tell_end(status, entry)

    def _tell_end(self, status: TaskStatus, entry: Entry | None) -> None:
        notify = self._services.notify
        if status.state is TaskState.FAILED:
            notify(status.message, Level.ERROR)
            return
        report = status.report
        if report is None:
            return
        for warning in report.warnings:
            notify(warning, Level.WARNING)
        if status.state is not TaskState.DONE:
            kept = "; the earlier results stay" if report.kept_earlier else ""
            notify(f"{status.title}: stopped after {report.frames} frames{kept}.", Level.INFO)
            return
        if entry is not None:
            self._load(entry)
        show = Action("Open folder", partial(show_in_folder, report.outputs[0])) if report.outputs else None
        if status.number in self._owners:
            share = f"a face in {report.frames_with_face} of {report.frames} frames"
            notify(f"{status.title}: processed, {share}.", Level.SUCCESS, show)
        else:
            notify(f"{status.title}: done.", Level.SUCCESS, show)

    def _compare_settings(self) -> None:
        """After the settings changed: whether the results at hand are what tracking would give now."""
        config = self._services.models.tracker_config
        for entry in self.entries.values():
            loaded = entry.loaded
            if loaded is not None and loaded.same_settings != loaded.run.has_config(config):
                self._replace(replace(entry, loaded=replace(loaded, same_settings=not loaded.same_settings)))
