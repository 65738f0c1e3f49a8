"""The machine and the software that figures were measured on: without them no figure can be compared."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
import torch

_PACKAGES = (
    *("torch", "numpy", "opencv-contrib-python", "av", "mediapipe"),
    *("openvino", "torch-tensorrt", "tensorrt", "tensorrt-rtx"),
)
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Environment:
    """Host, versions, date."""

    date: str  # ISO 8601, UTC
    commit: str | None  # of the checkout, "-dirty" where it was changed; None: installed, or git is not there
    cpu: str
    physical_cores: int | None  # None: the system does not tell
    usable_cores: int  # logical ones that this process may run on
    torch_threads: int
    memory_gb: float  # 1e9 bytes
    gpu: str  # with PyTorch's CUDA; "": none that PyTorch can use
    system: str
    python: str
    versions: dict[str, str]  # distribution -> version, of those that are installed


def describe_environment() -> Environment:
    """Looks at the machine."""
    return Environment(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=_commit(),
        cpu=_cpu_name(),
        physical_cores=psutil.cpu_count(logical=False),
        usable_cores=_usable_cores(),
        torch_threads=torch.get_num_threads(),
        memory_gb=round(psutil.virtual_memory().total / 1e9, 1),
        gpu=f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}" if torch.cuda.is_available() else "",
        system=platform.platform(),
        python=platform.python_version(),
        versions={name: version for name in _PACKAGES if (version := _version(name))},
    )


class OtherLoad:
    """How busy other programs keep the machine, from the construction on. One at a time: psutil remembers one start."""

    def __init__(self) -> None:
        psutil.cpu_percent()  # the next call tells of the time since this one
        self._wall_s, self._own_s = time.perf_counter(), time.process_time()

    def percent(self) -> float:
        """Since the construction or the last call, 0..100 of all cores; figures taken meanwhile are worse for it."""
        busy: float = psutil.cpu_percent()
        wall_s, own_s = time.perf_counter(), time.process_time()
        own = 100 * (own_s - self._own_s) / (max(wall_s - self._wall_s, 1e-9) * (psutil.cpu_count() or 1))
        self._wall_s, self._own_s = wall_s, own_s
        return round(min(max(busy - own, 0.0), 100.0), 1)


def _usable_cores() -> int:
    process = psutil.Process()
    if hasattr(process, "cpu_affinity"):  # not on macOS
        return len(process.cpu_affinity())
    return os.cpu_count() or 1


def _cpu_name() -> str:
    """The marketing name where the system tells it (x86 Linux), else what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(names), "") or platform.processor() or platform.machine()


def _version(distribution: str) -> str:
    """ "" where it is not installed."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _commit() -> str | None:
    # Only our own checkout: a wheel may lie inside somebody else's.
    if not (_ROOT / ".git").exists():
        return None
    command = ["git", "--no-optional-locks", "-C", str(_ROOT), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return run.stdout.strip() if run.returncode == 0 else None
