"""The recorder thread: pictures in, a recording of several files out."""

from __future__ import annotations

import logging
from collections import deque
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from threading import Condition, Thread
from typing import Any

from models.errors import FewmarkError
from tracker.batch.jobs import ANNOTATED, Job
from tracker.batch.settings import OutputChoice, Selection
from tracker.batch.sidecar import Sidecar, describe_request
from tracker.files.dataclass_toml import to_mapping
from tracker.live.events import EventKind, LiveEvent, Report
from tracker.live.loading import TrackerFacts
from tracker.live.rendering import LivePicture
from tracker.live.settings import RecordingPlan
from tracker.sinks import AnnotatedVideoSink, JsonLinesSink, OpenFaceCsvSink, ResultSink
from tracker.types import ImageArray, TrackingResult

_log = logging.getLogger(__name__)

_QUEUE_PICTURES = 12  # that may wait for the encoders; a 1080p picture holds up to 12 MB


class Recorder:
    """Writes one recording in a thread of its own.

    ``<stem>.mp4`` is what the camera gave, ``<stem>.annotated.mp4`` what was shown, ``<stem>.csv`` and ``.jsonl`` the
    landmarks, ``<stem>.fewmark.json`` how it was made. Frame k of the videos is row group k of the tables, and their
    times are the camera's own, from 0. Where the encoders fall behind, pictures are left out of all files alike, and
    counted in ``dropped``. The files are complete once ``RECORDING_SAVED`` was reported.
    """

    def __init__(self, plan: RecordingPlan, facts: TrackerFacts, report: Report) -> None:
        """
        Raises:
            FewmarkError: the folder can't be made, or the plan has no file at all.
        """
        if not (plan.clean_video or plan.annotated_video or plan.csv or plan.jsonl):
            raise FewmarkError("nothing to record: choose at least one of the files in the recording settings")
        try:
            plan.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FewmarkError(
                f"{plan.folder}: can't be made ({error.strerror}); choose another folder for recordings"
            ) from error
        self.started = datetime.now().astimezone()
        self.stem = free_stem(plan.folder, self.started)
        self.frames = 0  # written
        self.dropped = 0
        self.duration_s = 0.0
        self._frames_with_face = 0
        self._plan, self._facts, self._report = plan, facts, report
        self._changed = Condition()
        self._waiting: deque[LivePicture | None] = deque()
        self._ended = False
        self._note = ""  # about its end, for the user
        self._thread = Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def offer(self, picture: LivePicture) -> None:
        """Takes a picture, or counts it as dropped; never waits."""
        with self._changed:
            if self._ended:
                return
            if len(self._waiting) >= _QUEUE_PICTURES:
                self.dropped += 1
                return
            self._waiting.append(picture)
            self._changed.notify()

    def finish(self) -> None:
        """Ends the recording with the pictures taken so far; returns at once."""
        with self._changed:
            if not self._ended:
                self._ended = True
                self._waiting.append(None)
                self._changed.notify()

    def join(self, timeout_s: float) -> bool:
        """Waits until the files are complete; False if they are not within ``timeout_s``."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _take(self) -> LivePicture | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting)
            return self._waiting.popleft()

    def _run(self) -> None:
        folder = self._plan.folder
        try:
            files = self._write_files()
        except FewmarkError as error:
            self._tell(EventKind.RECORDING_FAILED, f"The recording ended: {error}.")
        except Exception as error:
            _log.exception("recording failed")
            self._tell(EventKind.RECORDING_FAILED, f"The recording ended ({error!r}); what was written is in {folder}.")
        else:
            text = f"Recorded {self.frames} frames, {self.duration_s:.1f} s, to {folder / self.stem}.*"
            missing = f"; {self._missing}" if self.dropped else ""
            if files:
                self._tell(EventKind.RECORDING_SAVED, f"{text}{missing}{self._note}.")
            else:
                self._tell(EventKind.RECORDING_FAILED, "Nothing was recorded: no picture came meanwhile.")
        finally:
            with self._changed:
                self._ended = True
                self._waiting.clear()

    def _write_files(self) -> list[Path]:
        first = self._take()
        if first is None:
            return []
        paths = self._paths()
        start_s = first.tracked.result.frame.time_s
        scheme = self._facts.scheme
        with ExitStack() as stack:
            sinks = {kind: stack.enter_context(self._open(kind, path, first)) for kind, path in paths.items()}
            picture: LivePicture | None = first
            while picture is not None:
                facts = picture.tracked.tracker
                if facts is not None and facts.scheme != scheme:
                    self._note = "; it ended there because the new model has other landmarks"
                    self.finish()
                    break
                self._write(sinks, picture, start_s)
                picture = self._take()
        self._write_sidecar(first, list(paths.values()))
        return list(paths.values())

    def _paths(self) -> dict[str, Path]:
        plan, base = self._plan, self._plan.folder / self.stem
        kinds = (
            (plan.clean_video, "clean", ".mp4"),
            (plan.annotated_video, "annotated", f"{ANNOTATED}.mp4"),
            (plan.csv, "csv", ".csv"),
            (plan.jsonl, "jsonl", ".jsonl"),
        )
        return {kind: base.with_name(base.name + suffix) for wanted, kind, suffix in kinds if wanted}

    def _open(self, kind: str, path: Path, first: LivePicture) -> ResultSink:
        source = self._video if self._plan.clean_video else first.tracked.info.name
        if kind == "csv":
            return OpenFaceCsvSink(path, self._facts.scheme, source=str(source))
        if kind == "jsonl":
            facts = self._facts
            meaning = facts.confidence_meaning
            return JsonLinesSink(path, facts.scheme, model=facts.model, source=str(source), confidence_meaning=meaning)
        # Not live: where the encoder falls behind it is this queue that leaves pictures out, for all files alike.
        info = replace(first.tracked.info, is_live=False)
        return AnnotatedVideoSink(path, info, _image_of)

    def _write(self, sinks: dict[str, ResultSink], picture: LivePicture, start_s: float) -> None:
        result = picture.tracked.result
        time_s = result.frame.time_s - start_s
        frame = replace(result.frame, index=self.frames, time_s=time_s, pixel_aspect=1.0)  # the recording's own
        for kind, sink in sinks.items():
            shown = replace(frame, image=picture.image) if kind == "annotated" else frame
            sink.write(replace(result, frame=shown))
        self.frames += 1
        self._frames_with_face += bool(result.faces)
        self.duration_s = time_s

    def _write_sidecar(self, first: LivePicture, files: list[Path]) -> None:
        """As a batch run of the clean video would, so that its results open again without being computed."""
        info, config = first.tracked.info, first.tracked.config
        source = self._video if self._video in files else info.name
        request = describe_request(Job(str(source), self.stem), OutputChoice(), Selection(), self._facts.config)
        facts: dict[str, Any] = {
            "model": self._facts.model,
            "confidence_meaning": self._facts.confidence_meaning,
            "backend": self._facts.backend,
            "device": self._facts.device,
            "frames": self.frames,
            "frames_with_face": self._frames_with_face,
            "warnings": [self._missing] if self.dropped else [],
            "recording": {
                "started": self.started.isoformat(timespec="milliseconds"),
                "source": info.name,
                "width": info.width,
                "height": info.height,
                "frame_rate": info.frame_rate,
                "mirrored": config.mirror,
                "view": to_mapping(config.view),
                "duration_s": round(self.duration_s, 6),
                "frames_dropped": self.dropped,
            },
        }
        Sidecar(self._plan.folder, self.stem).write(request | {"outputs": to_mapping(self._plan)}, files, facts)

    @property
    def _video(self) -> Path:
        return self._plan.folder / f"{self.stem}.mp4"

    @property
    def _missing(self) -> str:
        return f"{self.dropped} frames are missing: encoding could not keep up with the camera"

    def _tell(self, kind: EventKind, text: str) -> None:
        self._report(LiveEvent(kind, text, path=self._plan.folder))


def free_stem(folder: Path, moment: datetime) -> str:
    """A stem that no file in the folder has, from the time of day."""
    stem = moment.strftime("fewmark_%Y-%m-%d_%H-%M-%S")
    number, name = 1, stem
    while any(folder.glob(f"{name}.*")):
        number += 1
        name = f"{stem}_{number}"
    return name


def _image_of(result: TrackingResult) -> ImageArray:
    return result.frame.image
