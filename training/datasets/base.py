"""What every reader yields, and what they share: the checks of a sample, and where files are looked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image
from rich.console import Console
from rich.progress import track

from models.errors import FewmarkError
from models.landmark_schemes import LandmarkScheme
from tracker.types import FaceBox, FloatArray, ImageArray

Split = Literal["train", "test", "all"]  # as published; the validation part is taken out of "train"
T = TypeVar("T")

MAX_OUTSIDE = 0.5  # of the image's longer side: faces at the border reach out of a photo, but not that far
MIN_EXTENT = 2.0  # px; a face whose landmarks lie closer together shows nothing
PROGRESS_FROM = 500  # samples; fewer are read in a moment
_TURNED = (5, 6, 7, 8)  # values of EXIF's orientation that exchange width and height


@dataclass(frozen=True, slots=True, eq=False)
class FaceSample:
    """One labelled face. The image is read when it is needed: a dataset may be larger than the memory."""

    image_path: Path
    points: FloatArray  # (K, 2) image pixels, centre of the top-left pixel at (0, 0)
    visible: NDArray[np.bool_]  # (K,); False: not labelled, kept out of loss and metrics (its point is an estimate)
    scheme: LandmarkScheme
    subset: str  # for tables by subset, e.g. "helen/trainset"
    group: str  # faces of one photo (or, where known, of one person) share it; a split never separates them
    attributes: tuple[str, ...] = ()  # what the dataset says of this face, e.g. WFLW's "pose"
    box: FaceBox | None = None  # the face box that the dataset publishes
    occluded: NDArray[np.bool_] | None = None  # (K,) hidden by something, but labelled; None: the dataset doesn't tell

    def load_image(self) -> ImageArray:
        """(H, W, 3) uint8 RGB.

        Raises:
            FewmarkError: the file can't be read or is no image.
        """
        return load_rgb(self.image_path)


@dataclass(slots=True)
class DatasetReport:
    """What a reader found, and what it had to leave out: it never dies on one bad sample."""

    samples: list[FaceSample] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)  # "where: reason"

    def add(self, sample: FaceSample, where: str = "", size: tuple[int, int] | None = None) -> None:
        """Takes a sample in, or skips it and says why.

        Args:
            where: names the sample in the reason, e.g. "labels.csv, line 7"; default the image's path.
            size: width and height of the image in px where the reader knows them; default: read from the file's head.
        """
        try:
            reason = problem_of(sample, size or image_size(sample.image_path))
        except FewmarkError as error:
            self.skipped.append(f"{where}: {error}" if where else str(error))
            return
        if reason:
            self.skipped.append(f"{where or sample.image_path}: {reason}")
        else:
            self.samples.append(sample)


def problem_of(sample: FaceSample, size: tuple[int, int]) -> str:
    """Why a sample is of no use, empty if nothing is wrong with it.

    Args:
        size: width and height of the image, px.
    """
    expected = sample.scheme.num_points
    if sample.points.shape != (expected, 2) or sample.visible.shape != (expected,):
        return f"{expected} landmarks expected, found {len(sample.points)}"
    points = sample.points[sample.visible]
    if not len(points):
        return "no landmark is labelled"
    if not np.isfinite(points).all():
        return "a coordinate is not finite"
    outside = np.maximum(-points, points - np.array(size) + 1).max()
    centre = points.mean(axis=0)
    if outside > MAX_OUTSIDE * max(size) or (centre < 0).any() or (centre > size).any():
        return f"a landmark lies {outside:.0f} px outside the image of {size[0]}x{size[1]} px; do they belong together?"
    if len(points) > 1 and np.ptp(points, axis=0).max() < MIN_EXTENT:
        return f"all landmarks lie within {MIN_EXTENT:g} px"
    return ""


def in_order_of(scheme: LandmarkScheme, sample: FaceSample) -> FaceSample:
    """The sample as one of ``scheme``, its landmarks in the order of that.

    Raises:
        FewmarkError: the sample's landmarks are others, by their names.
    """
    found, wanted = sample.scheme.point_names, scheme.point_names
    if sorted(found) != sorted(wanted):
        strange = next((name for name in found if name not in wanted), None)
        what = f"{strange} is none of them" if strange else f"{set(wanted).difference(found).pop()} is missing"
        raise FewmarkError(
            f"{sample.image_path}: labelled with other landmarks than the {len(wanted)} of {scheme.name}: {what}"
        )
    order = [found.index(name) for name in wanted]
    return dataclasses.replace(
        sample,
        points=sample.points[order],
        visible=sample.visible[order],
        occluded=None if sample.occluded is None else sample.occluded[order],
        scheme=scheme,
    )


def labelled(points: FloatArray) -> NDArray[np.bool_]:
    """(K, 2) points to (K,) flags: which of them are not NaN, by which readers mark what isn't labelled."""
    return np.asarray(~np.isnan(points).any(axis=1))


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) in px as ``load_rgb`` would give them, from the file's head alone.

    Raises:
        FewmarkError: the file is missing or no image.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(ExifTags.Base.Orientation) in _TURNED
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, FileNotFoundError):
            raise FewmarkError(f"{path}: no such image; check the path") from error
        raise FewmarkError(f"{path}: not a readable image; replace or remove it") from error
    return (height, width) if turned else (width, height)


def load_rgb(path: Path) -> ImageArray:
    """Reads any 8-bit image file as (H, W, 3) RGB, turned as its EXIF says, whatever the characters in its path.

    Raises:
        FewmarkError: the file can't be read or is no image.
    """
    try:
        data = np.fromfile(path, dtype=np.uint8)  # cv2.imread can't open non-ASCII paths on Windows
    except OSError as error:
        raise FewmarkError(f"{path}: can't be read ({error.strerror}); check the path") from error
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise FewmarkError(f"{path}: not a readable image; replace or remove it")
    return np.ascontiguousarray(image[..., ::-1], dtype=np.uint8)


def find_below(root: Path, candidates: Sequence[str], what: str) -> Path:
    """The first of the candidates that exists below a dataset's root.

    Raises:
        FewmarkError: none does.
    """
    for candidate in candidates:
        if (root / candidate).exists():
            return root / candidate
    raise FewmarkError(f"{root}: no {what} here (looked for {', '.join(candidates)}); pass the folder above them")


def reading(items: Sequence[T], what: str) -> Iterable[T]:
    """The items, with a progress bar on a terminal where they are many."""
    console = Console(stderr=True)
    hidden = len(items) < PROGRESS_FROM or not console.is_terminal
    return track(items, f"reading {what}", console=console, transient=True, disable=hidden)
