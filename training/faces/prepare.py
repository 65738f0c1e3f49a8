"""Images of faces to shards of crops: in parallel, resumable, the same shards whatever the number of workers."""

from __future__ import annotations

import io
import os
import tarfile
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from models.errors import FewmarkError
from tracker.config import DetectionConfig
from tracker.following.pipeline import open_detector
from tracker.sources.decoding import error_text
from tracker.version import fewmark_version
from training.faces.cutting import CutImage, cut_in_worker, start_worker
from training.faces.listing import FaceImage, list_face_images
from training.faces.manifest import (
    MANIFEST_NAME,
    FaceManifest,
    PrepareSettings,
    ShardRecord,
    read_manifest,
    write_manifest,
)

_IMAGES_PER_TASK = 25


def prepare_faces(
    sources: Sequence[Path],
    out: Path,
    settings: PrepareSettings | None = None,
    *,
    workers: int | None = None,
    model_dir: Path | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    report: Callable[[str], None] = print,
) -> FaceManifest:
    """Cuts the largest face out of every image and writes ``faces-00000.tar`` ... and ``faces.json`` to ``out``.

    Shard i holds the faces of the i-th 2000 images of the sources in name order, as ``<name>.jpg`` (C, C, 3). Finished
    shards of the same work are kept: an interrupted run goes on behind them.

    Args:
        sources: folders (with subfolders and the ``.tar`` shards there) and ``.tar`` shards.
        workers: processes; default: one per core.
        model_dir: where the user keeps detector files, see ``tracker.files.model_store``.
        should_stop: asked after every shard; when it says so the manifest that comes back is not ``complete``.
        report: receives a line for a person about whatever was left out because it is broken.

    Raises:
        FewmarkError: no images, ``out`` holds something else, can't be written, or no detector can be had.
    """
    settings = settings or PrepareSettings()
    workers = (os.cpu_count() or 1) if workers is None else workers
    if workers < 1:
        raise FewmarkError(f"{workers} workers: at least one process has to do the work")
    _check_not_inside(out, sources)
    listing = list_face_images(sources)
    for line in listing.warnings:
        report(line)
    wanted = FaceManifest(
        settings=settings,
        images=len(listing.images),
        listing_sha256=listing.sha256(),
        fewmark=fewmark_version(),
        given=tuple(source.resolve().name for source in sources),
        warnings=tuple(listing.warnings),
    )
    manifest = _resume(out, wanted)
    if manifest.complete:
        return manifest
    # Here, and once: the workers find the file in its place, and whatever fails fails before they start.
    detection = DetectionConfig(detector=settings.detector, min_score=settings.min_score)
    open_detector(detection, model_dir=model_dir, report=report).close()
    write_manifest(out, manifest)
    manifest = _make_shards(listing.images, out, manifest, workers, model_dir, should_stop, report)
    if manifest.complete and not manifest.faces:
        raise FewmarkError(f"{out}: no face in {manifest.images} images; see {MANIFEST_NAME} for what each lacks")
    return manifest


def _make_shards(
    images: list[FaceImage],
    out: Path,
    manifest: FaceManifest,
    workers: int,
    model_dir: Path | None,
    should_stop: Callable[[], bool],
    report: Callable[[str], None],
) -> FaceManifest:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # spawn: a fork of a process in which torch or MediaPipe runs threads may hang, and Windows has none.
    pool = ProcessPoolExecutor(
        workers, get_context("spawn"), initializer=start_worker, initargs=(manifest.settings, model_dir)
    )
    per_shard = manifest.settings.images_per_shard
    start = min(len(manifest.shards) * per_shard, len(images))
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("cutting faces", total=len(images), completed=start)
        cut = _in_order(pool, images[start:], ahead=4 * workers)
        try:
            while start < len(images) and not should_stop():
                count = min(per_shard, len(images) - start)
                record = _write_shard(out, len(manifest.shards), cut, count, report, lambda: progress.advance(bar))
                start += count
                manifest = replace(manifest, shards=(*manifest.shards, record), complete=start == len(images))
                write_manifest(out, manifest)
                progress.update(bar, description=f"cutting faces: {manifest.faces} found")
        except BrokenProcessPool as error:
            raise FewmarkError(
                f"{out}: a worker process died (killed, or out of memory); the finished shards are kept: "
                "start the same command again, with fewer --workers if it was memory"
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    return manifest


def _in_order(pool: ProcessPoolExecutor, images: Sequence[FaceImage], ahead: int) -> Iterator[CutImage]:
    """Cut images in the order of ``images``; never more than ``ahead`` tasks are under way or wait to be taken."""
    pending: deque[Future[list[CutImage]]] = deque()
    for start in range(0, len(images), _IMAGES_PER_TASK):
        pending.append(pool.submit(cut_in_worker, images[start : start + _IMAGES_PER_TASK]))
        if len(pending) >= ahead:
            yield from pending.popleft().result()
    while pending:
        yield from pending.popleft().result()


def _write_shard(
    out: Path,
    index: int,
    cut: Iterator[CutImage],
    count: int,
    report: Callable[[str], None],
    advance: Callable[[], None],
) -> ShardRecord:
    """Takes ``count`` images from ``cut`` and writes their shard, whole or not at all."""
    path = out / f"faces-{index:05d}.tar"
    part = path.with_name(path.name + ".part")
    sources: Counter[str] = Counter()
    left_out: dict[str, list[str]] = {"unreadable": [], "no_face": [], "small_face": []}
    try:
        with part.open("wb") as file:
            with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
                for _ in range(count):
                    image = next(cut)
                    advance()
                    if image.outcome == "face":
                        entry = tarfile.TarInfo(f"{image.name}.jpg")
                        entry.size = len(image.jpeg)
                        tar.addfile(entry, io.BytesIO(image.jpeg))
                        sources[image.name.partition("/")[0]] += 1
                    else:
                        left_out[image.outcome].append(image.name)
                        if image.problem:
                            report(f"{image.problem}; skipped")
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise FewmarkError(
            f"{path}: cannot be written ({error_text(error)}); the shards before it are kept: "
            "make room or choose another --out, and start again"
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return ShardRecord(
        path.name,
        tuple(sorted(sources.items())),
        unreadable=tuple(left_out["unreadable"]),
        no_face=tuple(left_out["no_face"]),
        small_face=tuple(left_out["small_face"]),
    )


def _resume(out: Path, wanted: FaceManifest) -> FaceManifest:
    """The manifest to go on from: the one in ``out`` up to its first missing shard, or ``wanted`` for a new folder."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        empty = not any(out.iterdir())
    except OSError as error:
        raise FewmarkError(f"{out}: the output folder can't be made ({error_text(error)}); choose another") from error
    found = read_manifest(out)
    if found is None:
        if not empty:
            raise FewmarkError(f"{out}: holds files, but no {MANIFEST_NAME}; choose a new folder for the faces")
        return wanted
    if not found.same_work(wanted):
        raise FewmarkError(
            f"{out}: holds faces of other images or with other settings (see its {MANIFEST_NAME}); "
            "choose another --out, or delete it"
        )
    present = 0
    while present < len(found.shards) and (out / found.shards[present].file).exists():
        present += 1
    complete = found.complete and present == len(found.shards)
    return replace(found, shards=found.shards[:present], complete=complete)


def _check_not_inside(out: Path, sources: Sequence[Path]) -> None:
    """A second run would take the first one's faces for images."""
    for source in sources:
        if out.resolve().is_relative_to(source.resolve()):
            raise FewmarkError(f"{out}: lies inside the source {source}; choose another --out")
