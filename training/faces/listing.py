"""Face images in folders and ``.tar`` shards, in an order that depends on their names alone."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath, PurePosixPath

from models.errors import FewmarkError
from tracker.sources.decoding import error_text
from tracker.sources.images import IMAGE_SUFFIXES

_TAR = ".tar"


@dataclass(frozen=True, slots=True)
class FaceImage:
    """Where the bytes of one encoded image lie: a file, or a stretch of a ``.tar``."""

    name: str  # unique, with '/' and without suffix; its first part is the source
    path: Path  # the image file or the .tar
    offset: int  # bytes from the file's start
    length: int  # bytes

    @property
    def source(self) -> str:
        """The name under which faces are counted: the top folder inside a ``.tar``, else the given folder's name."""
        return self.name.partition("/")[0]

    def read(self) -> bytes:
        """The encoded image; raises FewmarkError if it cannot be read in full."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                data = file.read(self.length)
        except OSError as error:
            raise FewmarkError(f"{self.path}: cannot be read ({error_text(error)}); check the path") from error
        if len(data) != self.length:
            raise FewmarkError(f"{self.path}: ends within {self.name}; copy it again")
        return data


@dataclass(slots=True)
class Listing:
    """What was found, and what could not be looked at."""

    images: list[FaceImage] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def sha256(self) -> str:
        """Changes with any image's name, place in the order or length; not with where the sources lie."""
        digest = hashlib.sha256()
        for image in self.images:
            digest.update(f"{image.name}\0{image.length}\n".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()


def list_face_images(sources: Sequence[Path]) -> Listing:
    """All images in folders (with their subfolders and the ``.tar`` shards there) and ``.tar`` shards.

    Of a ``.tar`` that is cut off, what lies before the cut counts. A broken ``.tar`` in a folder is named in
    ``warnings``. Hidden files are left out.

    Raises:
        FewmarkError: a source does not exist or can't be read, a named ``.tar`` is none, or there is no image at all.
    """
    listing = Listing()
    taken: set[str] = set()
    for source in sources:
        for image in _images_of(source, listing.warnings):
            name, count = image.name, 1
            while name in taken:  # x.png beside x.jpg, or two sources of one name
                count += 1
                name = f"{image.name}~{count}"
            taken.add(name)
            listing.images.append(replace(image, name=name))
    if not listing.images:
        kinds = ", ".join(suffix[1:] for suffix in (*IMAGE_SUFFIXES, _TAR))
        problem = f" ({listing.warnings[0]})" if listing.warnings else ""
        raise FewmarkError(f"{', '.join(map(str, sources))}: no images here{problem}; it takes {kinds}")
    return listing


def list_shard(path: Path) -> list[FaceImage]:
    """The images of a ``.tar`` up to its end or a cut, in its order, named as its members are.

    Raises:
        FewmarkError: missing, or no ``.tar``.
    """
    return list(_members(path, []))


def _images_of(source: Path, warnings: list[str]) -> Iterator[FaceImage]:
    if source.is_dir():
        yield from _images_of_folder(source, warnings)
    elif source.suffix.lower() == _TAR and source.is_file():
        yield from _images_of_tar(source, source.stem, source.stem, warnings)
    elif source.exists():
        raise FewmarkError(f"{source}: neither a folder nor a .tar; pass the folder that holds the images")
    else:
        raise FewmarkError(f"{source}: does not exist; check the path")


def _images_of_folder(folder: Path, warnings: list[str]) -> Iterator[FaceImage]:
    label = folder.resolve().name
    try:
        found = [(p.relative_to(folder), p, p.stat().st_size) for p in folder.rglob("*") if p.is_file()]
    except OSError as error:
        raise FewmarkError(f"{folder}: cannot be read ({error_text(error)}); check the path") from error
    for inside, path, length in sorted(found, key=lambda entry: entry[0].parts):  # Windows would ignore case
        if not _is_wanted(inside, (*IMAGE_SUFFIXES, _TAR)):
            continue
        name = inside.with_suffix("").as_posix()
        if inside.suffix.lower() != _TAR:
            yield FaceImage(f"{label}/{name}", path, 0, length)
            continue
        try:
            yield from _images_of_tar(path, label, name, warnings)
        except FewmarkError as error:
            warnings.append(f"{error}; skipped")


def _images_of_tar(path: Path, label: str, shard: str, warnings: list[str]) -> Iterator[FaceImage]:
    """Named ``top/shard/rest``, as shards often repeat each other's numbers; without a top folder ``label`` is it."""
    for image in _members(path, warnings):
        top, _, rest = image.name.partition("/")
        yield replace(image, name=f"{top}/{shard}/{rest}" if rest else f"{label}/{shard}/{top}")


def _members(path: Path, warnings: list[str]) -> Iterator[FaceImage]:
    found = 0
    try:
        size = path.stat().st_size
        with tarfile.open(path, "r:") as tar:  # "r:", as there is no reading from the middle of a compressed one
            while (member := tar.next()) is not None:
                inside = PurePosixPath(member.name)
                if not member.isreg() or member.issparse() or not _is_wanted(inside, IMAGE_SUFFIXES):
                    continue
                if member.offset_data + member.size > size:
                    warnings.append(f"{path}: cut off within {member.name}; the {found} images before it are used")
                    return
                parts = [part for part in inside.with_suffix("").parts if part not in ("/", "..")]
                yield FaceImage("/".join(parts), path, member.offset_data, member.size)
                found += 1
            end = tar.offset  # tarfile takes a cut or damaged header for the end
        with path.open("rb") as file:
            file.seek(end)
            if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise tarfile.ReadError("no end mark")
    except (OSError, tarfile.TarError) as error:
        if not found:
            raise FewmarkError(f"{path}: not a readable .tar ({error}); unpack it, or make it again") from error
        warnings.append(f"{path}: cut off or damaged ({error}); the {found} images before that are used")


def _is_wanted(inside: PurePath, suffixes: tuple[str, ...]) -> bool:
    hidden = any(part.startswith(".") and part != ".." for part in inside.parts)
    return not hidden and inside.suffix.lower() in suffixes
