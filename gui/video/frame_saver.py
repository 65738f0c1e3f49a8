"""Single frames saved as images, as they are shown."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path

from PyQt6.QtCore import QObject

from gui.plots.time_text import clock_text
from gui.services import Action, Level, Services
from gui.show_in_folder import show_in_folder
from gui.tracker_bridge import Doorbell
from models.errors import FewmarkError
from tracker.playback.viewer import Picture
from tracker.sinks import AnnotatedImagesSink
from tracker.types import Frame, TrackingResult


class FrameSaver(QObject):
    """Writes PNG images on a thread of its own, and tells the user how it went."""

    def __init__(self, services: Services, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="save frame")
        self._saving: list[Future[Path]] = []
        self._bell = Doorbell(self)
        self._bell.rung.connect(self._tell)

    def save(self, picture: Picture, folder: Path, stem: str) -> None:
        """Saves what is shown as ``<stem>_<time>.png``; an earlier image of the same frame is replaced."""
        name = f"{stem}_{clock_text(picture.frame.time_s, 0.001).replace(':', '-')}.png"
        future = self._threads.submit(_save, picture, folder, name)
        self._saving.append(future)
        future.add_done_callback(lambda _: self._bell.ring())

    def request_end(self) -> None:
        """What is being written is completed."""
        self._threads.shutdown(wait=False)

    def join(self, timeout_s: float) -> bool:
        """Waits for the end of the thread; whether it has ended within ``timeout_s``."""
        return not wait(self._saving, timeout_s).not_done

    def _tell(self) -> None:
        done = [future for future in self._saving if future.done()]
        self._saving = [future for future in self._saving if not future.done()]
        for future in done:
            try:
                path = future.result()
            except FewmarkError as error:
                self._services.notify(str(error), Level.ERROR)
            else:
                action = Action("Open folder", partial(show_in_folder, path))
                self._services.notify(f"Saved {path.name}.", Level.SUCCESS, action)


def _save(picture: Picture, folder: Path, name: str) -> Path:
    """Raises FewmarkError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FewmarkError(f"{folder}: the folder can't be made ({error.strerror}); choose another") from error
    shown = Frame(picture.image, picture.frame.index, picture.frame.time_s, name)
    with AnnotatedImagesSink(folder, lambda result: result.frame.image) as sink:  # drawn already
        sink.write(TrackingResult(shown, ()))
    return folder / name
