"""Snapshots: the picture that is shown, as a PNG."""

from __future__ import annotations

import logging
from datetime import datetime
from pathlib import Path
from threading import Thread

import cv2

from models.errors import FewmarkError
from tracker.live.events import EventKind, LiveEvent, Report
from tracker.live.recording import free_stem
from tracker.types import ImageArray

_log = logging.getLogger(__name__)


def start_snapshot(image: ImageArray, folder: Path, report: Report) -> Thread:
    """Writes the image in a thread of its own, which reports when it is done.

    Args:
        image: (H, W, 3) RGB.
        folder: made if it does not exist.
    """

    def run() -> None:
        try:
            path = save_png(image, folder)
        except FewmarkError as error:
            report(LiveEvent(EventKind.SNAPSHOT_FAILED, f"No snapshot: {error}.", path=folder))
        except Exception as error:
            _log.exception("snapshot failed")
            report(LiveEvent(EventKind.SNAPSHOT_FAILED, f"No snapshot ({error!r}); try it again.", path=folder))
        else:
            report(LiveEvent(EventKind.SNAPSHOT_SAVED, f"Snapshot saved as {path}.", path=path))

    thread = Thread(target=run, name="snapshot", daemon=True)
    thread.start()
    return thread


def save_png(image: ImageArray, folder: Path) -> Path:
    """Writes an (H, W, 3) RGB image under a name made of the time of day.

    Raises:
        FewmarkError: the folder or the file can't be written.
    """
    _, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))  # imwrite fails on non-ASCII Windows paths
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{free_stem(folder, datetime.now())}.png"
        path.write_bytes(data.tobytes())
    except OSError as error:
        where = error.filename or folder
        raise FewmarkError(f"{where}: can't be written ({error.strerror}); choose another folder") from error
    return path
