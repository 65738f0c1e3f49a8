"""Prepared faces in RAM, as one tensor: training reads them in any order at no cost."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from models.errors import FewmarkError
from tracker.sources.images import decode_image
from tracker.types import ImageArray
from training.faces.listing import FaceImage, list_face_images, list_shard
from training.faces.manifest import MANIFEST_NAME, read_manifest


@dataclass(frozen=True, slots=True, eq=False)
class FaceStore:
    """Unlabelled faces. The central ``size`` x ``size`` pixels of an image are the crop that a network sees.

    Whether a face is held out depends on its name alone: the same faces are, at whatever size they were prepared and
    whatever else is loaded.
    """

    images: Tensor  # (N, 3, C, C) uint8 RGB, C >= size, C - size even
    held_out: Tensor  # (M, 3, C, C) uint8 RGB, never to be trained on
    names: tuple[str, ...]  # of the N images; the part before the first '/' is the source
    held_out_names: tuple[str, ...]  # of the M images
    size: int  # S, px: the network's input
    context: float  # C / S

    @property
    def sources(self) -> tuple[str, ...]:
        """Of the N images."""
        return tuple(name.partition("/")[0] for name in self.names)


def load_faces(
    paths: Sequence[Path],
    *,
    size: int,
    held_out: float = 0.02,
    names: Collection[str] | None = None,
    limit: int | None = None,
) -> FaceStore:
    """Reads prepared folders, or folders of images that are cropped already, into RAM.

    Args:
        paths: folders made by ``fewmark prepare-faces --size SIZE``; or folders (and ``.tar`` shards) of square images,
            which are resized to ``size`` and leave no room around the crop (C = S).
        size: S, the network's input, px.
        held_out: share of the faces that are kept apart, 0..1.
        names: only these, where there are such.
        limit: only so many, spread evenly.

    Raises:
        FewmarkError: a folder is missing, unfinished or was prepared for another size, an image can't be read or is
            not square, both kinds of folder are mixed, or a part of the split is empty.
    """
    if not paths:
        raise FewmarkError("no folder of faces was named; pass one that fewmark prepare-faces made")
    if not 0 <= held_out < 1:
        raise FewmarkError(f"held_out {held_out:g}: a share from 0 to below 1 is expected")
    images: list[FaceImage] = []
    sides: dict[int, Path] = {}
    for path in paths:
        found, side = _faces_of(path, size)
        images += found
        sides[side] = path
    if len(sides) > 1:
        (one, a), (other, b) = list(sides.items())[:2]
        raise FewmarkError(f"{a} stores {one} px a face, {b} {other}: prepare both with the same --size and --context")
    side = next(iter(sides))
    if names is not None:
        images = [image for image in images if image.name in names]
    if limit is not None and limit < len(images):
        images = [images[i] for i in np.linspace(0, len(images) - 1, limit).astype(int)]
    train = [image for image in images if not _is_held_out(image.name, held_out)]
    test = [image for image in images if _is_held_out(image.name, held_out)]
    if not train or (held_out and not test):
        raise FewmarkError(
            f"{', '.join(map(str, paths))}: {len(images)} faces leave {len(train)} to train on and {len(test)} "
            f"held out (a share of {held_out:g}); add faces, or change the share"
        )
    pixels = _decode([*train, *test], side)
    return FaceStore(
        pixels[: len(train)],
        pixels[len(train) :],
        tuple(image.name for image in train),
        tuple(image.name for image in test),
        size,
        side / size,
    )


def _faces_of(path: Path, size: int) -> tuple[list[FaceImage], int]:
    """Images of a folder and the side with which they are stored."""
    manifest = read_manifest(path) if path.is_dir() else None
    if manifest is None:
        return list_face_images([path]).images, size
    if manifest.settings.size != size:
        raise FewmarkError(
            f"{path}: prepared for {manifest.settings.size} px, {size} are needed; "
            f"run fewmark prepare-faces with --size {size} and another --out"
        )
    if not manifest.complete:
        raise FewmarkError(f"{path}: not finished; run the same fewmark prepare-faces again, it goes on")
    images = []
    for shard in manifest.shards:
        found = list_shard(path / shard.file) if shard.faces else []
        if len(found) != shard.faces:
            raise FewmarkError(
                f"{path / shard.file}: {len(found)} faces, {MANIFEST_NAME} says {shard.faces}; "
                "delete it and run the same fewmark prepare-faces again"
            )
        images += found
    return images, manifest.settings.stored_side


def _is_held_out(name: str, share: float) -> bool:
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def _decode(images: Sequence[FaceImage], side: int) -> Tensor:
    """(N, 3, side, side) uint8."""
    try:
        pixels = torch.empty((len(images), 3, side, side), dtype=torch.uint8)
    except RuntimeError as error:
        needed = len(images) * 3 * side**2 / 2**30
        raise FewmarkError(f"{len(images)} faces need {needed:.1f} GiB of memory; pass fewer folders") from error
    array = pixels.numpy()

    def decode(index: int) -> None:
        array[index] = _square(images[index], side).transpose(2, 0, 1)

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        Progress(*columns, console=Console(stderr=True), transient=True) as progress,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        try:
            for _ in progress.track(pool.map(decode, range(len(images))), len(images), description="reading faces"):
                pass
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return pixels


def _square(image: FaceImage, side: int) -> ImageArray:
    pixels = decode_image(np.frombuffer(image.read(), np.uint8), f"{image.path}: {image.name}")
    height, width = pixels.shape[:2]
    if height != width:
        raise FewmarkError(
            f"{image.path}: {image.name} is {width}x{height}, not square; run fewmark prepare-faces on the folder first"
        )
    if height == side:
        return pixels
    interpolation = cv2.INTER_AREA if height > side else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (side, side), interpolation=interpolation), np.uint8)
