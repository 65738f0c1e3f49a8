"""Hashes that are remembered, in this process and from one to the next."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from models.files import hashing
from models.files.hashing import HashMemory

needs_rights = pytest.mark.skipif(sys.platform == "win32", reason="only POSIX keeps the inode's time")


def sha256(contents: bytes) -> str:
    return hashlib.sha256(contents).hexdigest()


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were read, in a world whose files are old enough to be remembered at once."""
    files: list[Path] = []
    reads = hashing.file_sha256

    def told(path: Path) -> str:
        files.append(path)
        return reads(path)

    monkeypatch.setattr(hashing, "file_sha256", told)
    monkeypatch.setattr(hashing, "_SETTLED_NS", 0)
    return files


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "weights"
    path.write_bytes(b"first")
    return path


def memory_in(store: Path) -> HashMemory:
    memory = HashMemory()
    memory.keep_in(store)
    return memory


def test_a_file_is_read_once(file: Path, tmp_path: Path, read: list[Path]) -> None:
    store = tmp_path / "cache" / "hashes.json"
    for memory in (HashMemory(), memory_in(store)):
        assert [memory.sha256(file) for _ in range(3)] == [sha256(b"first")] * 3
    assert len(read) == 2
    assert memory_in(store).sha256(file) == sha256(b"first")  # as another process would
    assert len(read) == 2
    assert [path.name for path in store.parent.iterdir()] == [store.name]


def test_a_changed_file_is_noticed(file: Path, tmp_path: Path, read: list[Path]) -> None:
    store = tmp_path / "hashes.json"
    memory_in(store).sha256(file)
    kept = memory_in(store)
    file.write_bytes(b"longer than before")
    assert kept.sha256(file) == sha256(b"longer than before")
    before = file.stat()
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns - 10**9))
    assert kept.sha256(file) == sha256(b"longer than before")
    assert len(read) == 3


@needs_rights
def test_neither_its_size_nor_its_time_hides_a_change(file: Path, tmp_path: Path, read: list[Path]) -> None:
    memory, before = memory_in(tmp_path / "hashes.json"), file.stat()
    memory.sha256(file)
    time.sleep(0.02)
    file.write_bytes(b"other")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert memory.sha256(file) == sha256(b"other")


def test_a_file_that_was_just_written_is_read_again(file: Path) -> None:
    memory = HashMemory()
    for contents in (b"first", b"other", b"third"):  # of one length, and perhaps of one time
        file.write_bytes(contents)
        assert memory.sha256(file) == sha256(contents)


def test_a_file_that_changes_while_it_is_read_is_not_remembered(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "_SETTLED_NS", 0)
    reads = hashing.file_sha256

    def read_and_change(path: Path) -> str:
        digest = reads(path)
        path.write_bytes(b"longer than before")
        return digest

    memory = HashMemory()
    with monkeypatch.context() as patch:
        patch.setattr(hashing, "file_sha256", read_and_change)
        memory.sha256(file)
    assert memory.sha256(file) == sha256(b"longer than before")


def test_a_damaged_store_counts_as_none(file: Path, tmp_path: Path, read: list[Path]) -> None:
    store = tmp_path / "hashes.json"
    memory_in(store).sha256(file)
    whole = store.read_bytes()
    flipped = [whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :] for i in range(len(whole))]
    for contents in (*flipped, whole[:-1], whole[:70], b"", b"{}", b"\xff\xfe"):
        store.write_bytes(contents)
        assert memory_in(store).sha256(file) == sha256(b"first")
        assert store.read_bytes() == whole  # and is whole again
    assert len(read) == 1 + len(flipped) + 5


def test_a_store_that_cannot_be_written_does_not_matter(file: Path, tmp_path: Path, read: list[Path]) -> None:
    (tmp_path / "no folder").write_text("a file where the folder should be")
    for store in (tmp_path / "no folder" / "hashes.json", tmp_path):
        memory = memory_in(store)
        assert [memory.sha256(file) for _ in range(2)] == [sha256(b"first")] * 2
    assert len(read) == 2


def test_a_missing_file_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        HashMemory().sha256(tmp_path / "absent")


def test_many_may_share_a_store(tmp_path: Path, read: list[Path]) -> None:
    store = tmp_path / "cache" / "hashes.json"
    files = [tmp_path / f"{i}" for i in range(40)]
    for path in files:
        path.write_bytes(path.name.encode())
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda path: memory_in(store).sha256(path), files))
    assert found == [sha256(path.name.encode()) for path in files]
    read.clear()
    assert memory_in(store).sha256(files[0]) == sha256(b"0")
    assert [path.name for path in store.parent.iterdir()] == [store.name]  # no half-written ones beside it


def test_a_store_does_not_grow_for_ever(tmp_path: Path, read: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "_KEPT", 3)
    store = tmp_path / "hashes.json"
    files = [tmp_path / f"{i}" for i in range(5)]
    for path in files:
        path.write_bytes(path.name.encode())
        memory_in(store).sha256(path)
    read.clear()
    for path in reversed(files[2:]):
        memory_in(store).sha256(path)
    assert read == []
    memory_in(store).sha256(files[0])
    assert read == [files[0]]
