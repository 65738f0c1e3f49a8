"""The figures as a file: plain JSON that says what it is and on what it was measured."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from models.errors import FewmarkError
from tracker.bench.environment import Environment
from tracker.bench.measurement import Measurement
from tracker.bench.soak import SoakReport
from tracker.types import SourceInfo

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class BenchReport:
    """Measurements of one video on one machine."""

    environment: Environment
    video: SourceInfo
    other_load_percent: float  # 0..100 of all cores, used by other programs meanwhile
    measurements: tuple[Measurement, ...]  # one for each model and backend


def write_json(report: BenchReport | SoakReport, path: Path) -> None:
    """Writes the report's fields under their own names.

    Raises:
        FewmarkError: the file can't be written.
    """
    name = "fewmark-bench" if isinstance(report, BenchReport) else "fewmark-soak"
    text = json.dumps({"format": name, "version": FORMAT_VERSION, **asdict(report)}, indent=2, ensure_ascii=False)
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise FewmarkError(f"{path}: can't be written ({error.strerror}); choose another --json") from error
