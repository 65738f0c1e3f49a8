"""What the video workspace says of a recording and of what is done with it."""

from __future__ import annotations

from gui.plots.time_text import duration_text
from gui.settings.model_chooser import BACKEND_TITLES
from gui.video.entry import Entry
from gui.workspace import Status
from tracker.batch.progress import TaskState, TaskStatus
from tracker.playback.viewer import Picture


def state_of(entry: Entry) -> tuple[str, str]:
    """How far a recording is, for people, and the role of that text."""
    if entry.problem:
        return entry.problem, "error"
    task = entry.task
    if task is not None and not task.has_ended:
        return progress_text(task), "dim"
    if task is not None and task.state is TaskState.FAILED:
        return "failed", "error"
    if entry.loading:
        return "looking for earlier results", "dim"
    if entry.loaded is not None:
        run = entry.loaded.run
        note = "" if entry.loaded.same_settings else ", with other settings"
        return f"processed with {run.model}{note}", "success" if not note else "dim"
    if entry.growing is not None:
        return f"stopped after {entry.growing.snapshot().num_frames} frames", "warning"
    return "not processed", "dim"


def progress_text(task: TaskStatus) -> str:
    """``waiting``, ``loading the model``, ``34 %, 2 min left``."""
    if task.state is TaskState.WAITING:
        return "waiting"
    if task.activity:
        return task.activity
    done = f"{task.share:.0%}" if task.share is not None else f"{task.frames} frames"
    left = "" if task.remaining_s is None else f", {duration_text(task.remaining_s)} left"
    return f"{done}{left}"


def note_on(entry: Entry | None) -> str:
    """A sentence under the button, where there is something to say."""
    if entry is None:
        return ""
    if entry.task is not None and not entry.task.has_ended:
        title = BACKEND_TITLES.get(entry.task.backend, entry.task.backend)
        backend = f" on {title}" if title else ""
        rate = f", {entry.task.rate:.0f} frames/s{backend}" if entry.task.rate else ""
        return f"{progress_text(entry.task).capitalize()}{rate}"
    if entry.loaded is not None and not entry.loaded.same_settings:
        return "These results were made with other settings, or by another model, than are chosen now."
    if entry.loaded is None and not entry.loading:
        return "Tracks every frame once; after that the results open at once."
    return ""


def hint_on(entry: Entry | None) -> str:
    """What the timeline says as long as it has no lines."""
    if entry is None or entry.problem or entry.loading:
        return ""
    if entry.is_being_processed:
        return "The confidence of the faces comes as they are tracked."
    if entry.results is not None:
        return "No face was found."
    return "Process the recording to see here how confident the network is, frame by frame."


def status_of(
    entry: Entry | None,
    task: TaskStatus | None,
    picture: Picture | None,
    shown_rate: float | None,
    *,
    is_opening_network: bool = False,
) -> Status:
    """The status line: of the task that runs, else of the results that are shown."""
    run = entry.loaded.run if entry is not None and entry.loaded is not None else None
    if task is not None:
        activity = f"{task.title}: {progress_text(task)}"
        return Status(backend=task.backend, model_rate=task.rate, shown_rate=shown_rate, activity=activity)
    redrawn_by = picture.result.backend if picture is not None and picture.result is not None else ""
    return Status(
        model=run.model if run is not None else "",
        backend=redrawn_by or (run.backend if run is not None else ""),
        shown_rate=shown_rate,
        activity="Loading the model that makes heatmaps and reconstructions ..." if is_opening_network else "",
    )
