"""What tracking costs on this machine: networks, stages and the whole, peers, memory over a long run.

Measures and returns figures; ``tracker/cli/bench.py`` prints them.
"""

from __future__ import annotations

from tracker.bench.end_to_end import EndToEnd
from tracker.bench.environment import Environment, OtherLoad, describe_environment
from tracker.bench.measurement import BenchPlan, Measurement, Results, measure, open_video, steps_of
from tracker.bench.network import BATCHES, NetworkTime
from tracker.bench.peers import PEERS, Peer, PeerTime
from tracker.bench.report import BenchReport, Table, environment_lines, tables_of, write_json, write_markdown
from tracker.bench.soak import MIN_SOAK_FRAMES, MemorySample, MemorySlope, SoakReport, soak
from tracker.bench.stages import STAGES, StageTime

__all__ = [
    "BATCHES",
    "MIN_SOAK_FRAMES",
    "PEERS",
    "STAGES",
    "BenchPlan",
    "BenchReport",
    "EndToEnd",
    "Environment",
    "Measurement",
    "MemorySample",
    "MemorySlope",
    "NetworkTime",
    "OtherLoad",
    "Peer",
    "PeerTime",
    "Results",
    "SoakReport",
    "StageTime",
    "Table",
    "describe_environment",
    "environment_lines",
    "measure",
    "open_video",
    "soak",
    "steps_of",
    "tables_of",
    "write_json",
    "write_markdown",
]
