"""The figures as files: plain JSON, and a page of Markdown that says what was measured on what, and how."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from models.errors import FewmarkError
from tracker.bench.environment import Environment
from tracker.bench.measurement import Measurement, Results
from tracker.bench.soak import SoakReport
from tracker.bench.stages import STAGES
from tracker.types import SourceInfo

FORMAT_VERSION = 2


@dataclass(frozen=True, slots=True)
class BenchReport:
    """Measurements of one video on one machine."""

    command: str  # that makes it again
    environment: Environment
    video: SourceInfo
    other_load_percent: float  # 0..100 of all cores, used by other programs meanwhile
    results: Results
    left_out: tuple[str, ...] = ()  # backends and peers that could not be measured, and why


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under headings, for a terminal or a page."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def tables_of(report: BenchReport) -> tuple[Table, ...]:
    """The report as tables, the most looked-for first."""
    results = report.results
    tables = [_end_to_end_table(results.measurements), _tracker_table(results.measurements), _network_table(results)]
    tables += [_stages_table(measured) for measured in results.measurements if measured.stages]
    if results.peers:
        tables.append(_peers_table(report))
    return tuple(tables)


def _end_to_end_table(measurements: tuple[Measurement, ...]) -> Table:
    rows = [
        (
            measured.model,
            measured.backend,
            "video to " + " + ".join(run.outputs),
            f"{run.frames_per_s:.1f}",
            f"{min(run.runs_frames_per_s):.1f}..{max(run.runs_frames_per_s):.1f}",
            str(run.frames),
            f"{run.faces_per_frame:.2f}",
        )
        for measured in measurements
        for run in measured.end_to_end
    ]
    headings = ("model", "backend", "files", "frames/s", "range", "frames", "faces")
    note = "median and range of the rounds, opening the source and completing the files included; faces a frame"
    return Table("End to end", headings, tuple(rows), note)


def _tracker_table(measurements: tuple[Measurement, ...]) -> Table:
    """Inside the tracker's own thread, while the others decode, draw, encode and write."""
    runs = [(measured, run) for measured in measurements for run in measured.end_to_end]
    stages = tuple(dict.fromkeys(name for _, run in runs for name in run.stage_ms))
    rows = [
        (
            measured.model,
            measured.backend,
            " + ".join(run.outputs),
            *(_ms(run.stage_ms.get(name, 0.0)) for name in stages),
        )
        for measured, run in runs
    ]
    note = "mean over the frames, also over those that skip a stage; median of the rounds"
    return Table("In the tracker, ms a frame", ("model", "backend", "files", *stages), tuple(rows), note)


def _network_table(results: Results) -> Table:
    rows = [
        (
            measured.model,
            measured.backend,
            str(time.batch),
            _ms(time.median_ms),
            _range(time.p10_ms, time.p90_ms),
            f"{time.faces_per_s:.0f}",
            "" if time.limit_ms is None else _ms(time.limit_ms),
            "" if time.share_of_limit is None else f"{time.share_of_limit:.0%}",
        )
        for measured in results.measurements
        for time in measured.network
    ]
    devices = "; ".join(f"{m.model} on {m.backend}: {m.device}" for m in results.measurements)
    costs = "; ".join(
        f"{cost.model}: {cost.flops / 1e9:.2f} GFLOP a face, {cost.parameters / 1e6:.2f} million weights"
        for cost in results.costs
    )
    peaks = "; ".join(
        f"{peak.device} in {peak.dtype}: {peak.tflops:.3g} TFLOP/s in matrix products, "
        f"{peak.copy_gb_per_s:.0f} GB/s copied"
        for peak in results.peaks
    )
    headings = ("model", "backend", "batch", "ms", "p10..p90", "faces/s", "limit ms", "of limit")
    note = (
        f"uint8 crops to points and confidences, median ms a batch ({devices}). The limit is arithmetic alone, or "
        f"reading weights and crops once ({costs}), at the peak measured in the same run ({peaks or 'not measured'})"
    )
    return Table("Network alone", headings, tuple(rows), note)


def _stages_table(measured: Measurement) -> Table:
    rows = [
        (name, _ms(time.median_ms), _range(time.p10_ms, time.p90_ms), STAGES[name])
        for name, time in measured.stages.items()
    ]
    title = f"Stages alone: {measured.model} on {measured.backend}"
    note = f"median; one thread, but for predict: the backend's. {measured.device}; detector {measured.detector}"
    return Table(title, ("stage", "ms", "p10..p90", "of"), tuple(rows), note)


def _peers_table(report: BenchReport) -> Table:
    rows = [
        (
            peer.peer,
            _ms(peer.median_ms),
            _range(peer.p10_ms, peer.p90_ms),
            f"{peer.frames_per_s:.1f}",
            f"{peer.faces_per_frame:.2f}",
            report.environment.versions.get(peer.peer, ""),
        )
        for peer in report.results.peers
    ]
    headings = ("peer", "ms", "p10..p90", "frames/s", "faces", "version")
    return Table("Peers", headings, tuple(rows), "median ms a frame in the tracker; frames/s with decoding, no files")


def _ms(value: float) -> str:
    """Three or four digits."""
    return f"{value:.{0 if value >= 1000 else 1 if value >= 100 else 2 if value >= 1 else 3}f}"


def _range(low: float, high: float) -> str:
    return f"{_ms(low)}..{_ms(high)}"


def environment_lines(environment: Environment, video: SourceInfo) -> tuple[str, ...]:
    """Host, software and video, a line each."""
    cores = f"{environment.usable_cores} cores, torch threads: {environment.torch_threads}"
    gpu = f"; {environment.gpu}" if environment.gpu else ""
    commit = f", commit {environment.commit}" if environment.commit else ""
    versions = ", ".join(f"{name} {version}" for name, version in environment.versions.items())
    rate = f"{video.frame_rate:.4g} frames/s" if video.frame_rate else "no steady rate"
    return (
        f"{environment.cpu}, {cores}, {environment.memory_gb:g} GB{gpu}; {environment.system}",
        f"Python {environment.python}, {versions}{commit}; {environment.date}",
        f"{video.name}: {video.width}x{video.height}, {rate}",
    )


def write_json(report: BenchReport | SoakReport, path: Path) -> None:
    """Writes the report's fields under their own names.

    Raises:
        FewmarkError: the file can't be written.
    """
    name = "fewmark-bench" if isinstance(report, BenchReport) else "fewmark-soak"
    text = json.dumps({"format": name, "version": FORMAT_VERSION, **asdict(report)}, indent=2, ensure_ascii=False)
    _write(text + "\n", path, "--json")


def write_markdown(report: BenchReport, path: Path) -> None:
    """Writes the report as a page, with all that is needed to judge the figures.

    Raises:
        FewmarkError: the file can't be written.
    """
    environment = report.environment
    lines = [f"# {environment.date[:10]}, commit {environment.commit or 'not known'}", "", f"`{report.command}`", ""]
    lines += [f"- {line}" for line in environment_lines(environment, report.video)]
    lines += [
        f"- other programs used {report.other_load_percent:.0f} % of the machine meanwhile",
        "- everything in one run, the rounds interleaved; compare within this page, not across machines",
        *(f"- left out: {reason}" for reason in report.left_out),
        "",
    ]
    for table in tables_of(report):
        rows = [table.headings, ("---",) * len(table.headings), *table.rows]
        lines += [f"## {table.title}", "", *("| " + " | ".join(row) + " |" for row in rows), ""]
        if table.note:
            lines += [table.note[0].upper() + table.note[1:].rstrip(".") + ".", ""]
    _write("\n".join(lines), path, "--report")


def _write(text: str, path: Path, option: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise FewmarkError(f"{path}: can't be written ({error.strerror}); choose another {option}") from error
