"""``faces.json``: how a folder of prepared faces was made, and how far it has got."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from models.crop_rule import CropRule
from models.errors import FewmarkError
from tracker.files.dataclass_toml import from_mapping, to_mapping
from tracker.sources.decoding import error_text

MANIFEST_NAME = "faces.json"
FORMAT = "fewmark-faces"
VERSION = 1


@dataclass(frozen=True, slots=True)
class PrepareSettings:
    """How faces are cut. The stored side's central ``size`` pixels are the crop that a network of that size sees."""

    size: int = 128  # S, crop px
    margin: float = 1.3  # of the network's crop, see CropRule
    context: float = 1.4  # stored side over S, about: room to turn and shift the crop without inventing a border
    min_face: float = 40.0  # px in the image; faces whose box is smaller are left out
    detector: str = "short_range"  # a name of DETECTORS
    min_score: float = 0.5  # of the detector, 0..1
    images_per_shard: int = 2000  # a shard holds the faces of so many images

    def __post_init__(self) -> None:
        if not 16 <= self.size <= 1024:
            raise FewmarkError(f"size {self.size}: a crop has 16 to 1024 pixels a side")
        if not 1 <= self.context <= 4:
            raise FewmarkError(f"context {self.context:g}: stored side over crop side; choose 1 (no room) to 4")
        if not 0.5 <= self.margin <= 4:
            raise FewmarkError(f"margin {self.margin:g}: crop side over landmarks' box; choose 0.5 to 4")
        if not self.min_face >= 0:
            raise FewmarkError(f"min-face {self.min_face:g}: a size in pixels, 0 or more, is expected")

    @property
    def stored_side(self) -> int:
        """C, px; C - S is even, so that the central S x S pixels are whole ones."""
        return self.size + 2 * round(self.size * (self.context - 1) / 2)

    @property
    def rule(self) -> CropRule:
        """Of the stored image, with the room around the network's crop."""
        return CropRule(margin=self.margin * self.stored_side / self.size, level=True)


@dataclass(frozen=True, slots=True)
class ShardRecord:
    """One finished shard."""

    file: str
    sources: tuple[tuple[str, int], ...]  # faces by source
    unreadable: tuple[str, ...] = ()  # names of images that could not be decoded
    no_face: tuple[str, ...] = ()  # names of images in which the detector found none
    small_face: tuple[str, ...] = ()  # names of images whose largest face is below min_face

    @property
    def faces(self) -> int:
        return sum(count for _, count in self.sources)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceManifest:
    """Content of ``faces.json``."""

    format: str = FORMAT
    version: int = VERSION
    fewmark: str  # version that made it
    given: tuple[str, ...]  # names of the given sources
    warnings: tuple[str, ...] = ()  # what of the sources could not be looked at
    settings: PrepareSettings
    images: int  # all images of the sources
    listing_sha256: str  # of their names and lengths, in order
    complete: bool = False
    shards: tuple[ShardRecord, ...] = ()  # in order; those that are finished

    @property
    def faces(self) -> int:
        return sum(shard.faces for shard in self.shards)

    def faces_by_source(self) -> Counter[str]:
        counts: Counter[str] = Counter()
        for shard in self.shards:
            counts.update(dict(shard.sources))
        return counts

    def skipped(self, reason: str) -> Counter[str]:
        """Images left out, by source; ``reason`` is unreadable, no_face or small_face."""
        names = (name for shard in self.shards for name in getattr(shard, reason))
        return Counter(name.partition("/")[0] for name in names)

    def same_work(self, other: FaceManifest) -> bool:
        """Whether both are of the same images, cut in the same way."""
        mine, others = ((manifest.settings, manifest.images, manifest.listing_sha256) for manifest in (self, other))
        return mine == others


def read_manifest(folder: Path) -> FaceManifest | None:
    """The manifest of a folder of prepared faces, None where there is none.

    Raises:
        FewmarkError: it is damaged, or of a later version.
    """
    path = folder / MANIFEST_NAME
    if not path.exists():
        return None
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FewmarkError(f"{path}: not readable ({error}); prepare the faces again") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise FewmarkError(f"{path}: not a manifest of prepared faces; choose another folder")
    if data.get("version") != VERSION:
        raise FewmarkError(f"{path}: version {data.get('version')}, this Fewmark reads {VERSION}; prepare them again")
    return from_mapping(FaceManifest, data, str(path))


def write_manifest(folder: Path, manifest: FaceManifest) -> None:
    """Writes it whole or not at all; raises FewmarkError where it can't be written."""
    path = folder / MANIFEST_NAME
    part = path.with_name(path.name + ".part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(json.dumps(to_mapping(manifest), indent=1) + "\n")
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise FewmarkError(f"{path}: cannot be written ({error_text(error)})") from error
