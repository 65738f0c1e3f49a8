"""Where results go: files that are written while the tracker runs."""

from __future__ import annotations

from tracker.sinks.annotated_images import AnnotatedImagesSink
from tracker.sinks.annotated_video import AnnotatedVideoSink
from tracker.sinks.base import ResultSink
from tracker.sinks.json_lines import JsonLinesSink
from tracker.sinks.openface_csv import OpenFaceCsvSink
from tracker.sinks.sink_thread import ThreadedSink

SINKS: dict[str, type[ResultSink]] = {
    "csv": OpenFaceCsvSink,
    "jsonl": JsonLinesSink,
    "video": AnnotatedVideoSink,
    "images": AnnotatedImagesSink,
}

__all__ = [
    "SINKS",
    "AnnotatedImagesSink",
    "AnnotatedVideoSink",
    "JsonLinesSink",
    "OpenFaceCsvSink",
    "ResultSink",
    "ThreadedSink",
]
