"""SHA-256 of files, remembered by size and times: a file is read once, not at every start."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
from pathlib import Path

_KEPT = 100  # hashes in a store, those of the files that were read last
# A file that was just written may be written again within the resolution of its times (2 s on FAT).
_SETTLED_NS = 3_000_000_000

_Marks = tuple[int, ...]  # bytes, and when contents and inode were changed, ns


def file_sha256(path: Path) -> str:
    """Hex digest of a file's contents, read now.

    Raises:
        OSError: it can't be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class HashMemory:
    """SHA-256 of files, each read once as long as its size and its times stay the same.

    Several processes may share a store. One that is missing, damaged or can't be written makes files be read again.
    """

    def __init__(self) -> None:
        self._store: Path | None = None
        self._known: dict[str, tuple[_Marks, str]] | None = None

    def keep_in(self, store: Path | None) -> None:
        """Goes on with what another file keeps, or with nothing, remembered within this process alone."""
        self._store, self._known = store, None

    def sha256(self, path: Path) -> str:
        """Hex digest of a file's contents.

        Raises:
            OSError: it can't be looked at or read.
        """
        if self._known is None:
            self._known = self._stored()
        key, marks = str(path.resolve()), _marks(path)
        known = self._known.get(key)
        if known is not None and known[0] == marks:
            return known[1]
        digest = file_sha256(path)
        if _marks(path) == marks and time.time_ns() - max(marks[1:]) > _SETTLED_NS:
            self._known[key] = marks, digest
            self._keep(key)
        return digest

    def _stored(self) -> dict[str, tuple[_Marks, str]]:
        """What the store holds; nothing where it can't be read."""
        if self._store is None:
            return {}
        try:
            checksum, _, entries = self._store.read_bytes().partition(b"\n")
        except OSError:
            return {}
        if checksum != _checksum(entries):
            return {}
        return {key: ((size, *times), digest) for key, (size, *times, digest) in json.loads(entries).items()}

    def _keep(self, key: str) -> None:
        """Adds a hash to those that other processes have stored meanwhile; one that is lost is only made again."""
        if self._store is None or self._known is None:
            return
        entries = self._stored()
        entries.pop(key, None)
        entries[key] = self._known[key]
        kept = {name: [*marks, digest] for name, (marks, digest) in list(entries.items())[-_KEPT:]}
        contents = json.dumps(kept, indent=0).encode("ascii")
        with contextlib.suppress(OSError):  # a cache that can be read alone
            self._store.parent.mkdir(parents=True, exist_ok=True)
            handle, partial = tempfile.mkstemp(dir=self._store.parent, prefix=f"{self._store.name}.")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(_checksum(contents) + b"\n" + contents)
                Path(partial).replace(self._store)
            finally:
                Path(partial).unlink(missing_ok=True)


HASHES = HashMemory()  # this process's


def _checksum(contents: bytes) -> bytes:
    return hashlib.sha256(contents).hexdigest().encode("ascii")


def _marks(path: Path) -> _Marks:
    """By what a change of a file is noticed: the inode's time tells of one that was given back its earlier time."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns
