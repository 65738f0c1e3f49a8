"""From what the user typed to a list of sources, each with a stem of its own for its files."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.errors import FewmarkError
from tracker.sources.file_kind import ANIMATED_SUFFIXES, is_animation
from tracker.sources.images import list_images
from tracker.sources.opening import CAMERA_PREFIX
from tracker.sources.stream import URL, without_password

VIDEO_SUFFIXES = frozenset(
    ".mp4 .m4v .mov .mkv .webm .avi .mpg .mpeg .ts .mts .m2ts .wmv .flv .3gp .ogv .gif .apng .mjpeg .mjpg".split()  # noqa: SIM905
)
ANNOTATED = ".annotated"  # what is written beside its sources is not taken for a source later
_OWN_VIDEOS = (f"{ANNOTATED}.mp4", f"{ANNOTATED}.part.mp4")
_MAX_STEM = 100  # characters of an address


@dataclass(frozen=True, slots=True)
class Job:
    """One source and the stem of its output files."""

    spec: str  # as ``open_source`` takes it
    stem: str

    @property
    def name(self) -> str:
        """The source as it may be shown and stored."""
        return without_password(self.spec)

    @property
    def path(self) -> Path | None:
        """The file or folder; None for cameras and addresses."""
        return Path(self.spec) if _is_path(self.spec) else None


def plan_jobs(inputs: Sequence[str]) -> list[Job]:
    """The sources that files, folders, patterns, cameras and addresses name, each once.

    A folder stands for each of its videos and animations, and for its images together as one source; its sub-folders,
    hidden files and the annotated videos of an earlier run are left out. What names nothing stays in the list as it is:
    opening it says what is wrong, and the other sources are not held up.
    """
    specs = [spec for item in inputs for spec in _expand(item)]
    unique = list({os.path.realpath(spec) if _is_path(spec) else spec: spec for spec in reversed(specs)}.values())
    unique.reverse()
    return [Job(spec, stem) for spec, stem in zip(unique, _unique_stems(unique), strict=True)]


def _is_path(spec: str) -> bool:
    """Whether ``open_source`` takes it for a file or folder, rather than a camera or an address."""
    is_camera = (spec.isascii() and spec.isdigit()) or spec.lower().startswith(CAMERA_PREFIX)
    return not is_camera and not URL.match(spec)


def _expand(item: str) -> list[str]:
    if not _is_path(item):
        return [item]
    # os.path, as Path.exists raises for names that are too long and folders that may not be entered.
    if os.path.isdir(item):  # noqa: PTH112
        return _sources_in(item)
    if os.path.exists(item) or not glob.has_magic(item):  # noqa: PTH110
        return [item]
    matches = [match for match in sorted(glob.glob(item, recursive=True)) if not match.endswith(_OWN_VIDEOS)]  # noqa: PTH207
    if "**" in item:  # the folders' files are matches themselves
        return [match for match in matches if os.path.isfile(match)] or [item]  # noqa: PTH113
    return [spec for match in matches for spec in (_sources_in(match) if os.path.isdir(match) else [match])] or [item]  # noqa: PTH112


def _sources_in(folder: str) -> list[str]:
    try:
        files = sorted(p for p in Path(folder).iterdir() if not p.name.startswith(".") and p.is_file())
    except OSError:
        return [folder]  # opening it says why
    videos = [str(p) for p in files if _is_video(p) and not p.name.endswith(_OWN_VIDEOS)]
    return [*videos, folder] if not videos or _has_images(folder) else videos


def _is_video(path: Path) -> bool:
    suffix = path.suffix.lower()
    try:
        return suffix in VIDEO_SUFFIXES or (suffix in ANIMATED_SUFFIXES and is_animation(path))
    except FewmarkError:  # as an image of the folder, reading it says what is wrong
        return False


def _has_images(folder: str) -> bool:
    try:
        return bool(list_images(Path(folder)))
    except FewmarkError:
        return False


def _unique_stems(specs: Sequence[str]) -> list[str]:
    """File names without suffix, lengthened by suffix, folder and number until no two are alike, whatever the case."""
    stems = [_stem(spec, 0) for spec in specs]
    for level in (1, 2):
        counts = Counter(stem.casefold() for stem in stems)
        stems = [
            _stem(spec, level) if counts[stem.casefold()] > 1 else stem for spec, stem in zip(specs, stems, strict=True)
        ]
    return list(_numbered(stems))


def stem_candidates(spec: str) -> tuple[str, ...]:
    """Stems for the files of one source, the shortest first."""
    return tuple(dict.fromkeys(_stem(spec, level) for level in range(3)))


def _stem(spec: str, level: int) -> str:
    if not _is_path(spec):
        return re.sub(r"[^\w\-]+", "_", without_password(spec)).strip("_")[:_MAX_STEM] or "source"
    path = Path(spec)
    if path.suffix == "" or os.path.isdir(path):  # noqa: PTH112
        path = Path(os.path.abspath(path))  # noqa: PTH100  "." and ".." have no name
        texts = [path.name, path.name]
    else:
        texts = [path.stem, path.name]
    return [*texts, f"{Path(os.path.abspath(path)).parent.name}_{path.name}"][level] or "source"  # noqa: PTH100


def _numbered(stems: Iterable[str]) -> Iterable[str]:
    taken: set[str] = set()
    for stem in stems:
        candidate, number = stem, 2
        while candidate.casefold() in taken:
            candidate, number = f"{stem}_{number}", number + 1
        taken.add(candidate.casefold())
        yield candidate
