"""What tracking costs on this machine: each stage alone, the whole from file to files, memory over a long run.

Measures and returns figures; ``tracker/cli/bench.py`` prints them.
"""

from __future__ import annotations

from tracker.bench.end_to_end import EndToEnd
from tracker.bench.environment import Environment, OtherLoad, describe_environment
from tracker.bench.measurement import WARM_UP_FRAMES, Measurement, frames_to_run, measure, open_video
from tracker.bench.report import BenchReport, write_json
from tracker.bench.soak import MIN_SOAK_FRAMES, MemorySample, MemorySlope, SoakReport, soak
from tracker.bench.stages import STAGES, StageTime

__all__ = [
    "MIN_SOAK_FRAMES",
    "STAGES",
    "WARM_UP_FRAMES",
    "BenchReport",
    "EndToEnd",
    "Environment",
    "Measurement",
    "MemorySample",
    "MemorySlope",
    "OtherLoad",
    "SoakReport",
    "StageTime",
    "describe_environment",
    "frames_to_run",
    "measure",
    "open_video",
    "soak",
    "write_json",
]
