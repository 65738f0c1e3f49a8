"""Which images are found where, under which names, and what is said of broken sources."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.errors import FewmarkError
from training.faces.listing import list_face_images


def png(value: int = 0) -> bytes:
    return cv2.imencode(".png", np.full((8, 8, 3), value, np.uint8))[1].tobytes()


def write_tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return path


def write_image(path: Path, value: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(value))
    return path


def test_folders_are_searched_with_their_subfolders_and_shards(tmp_path: Path) -> None:
    root = tmp_path / "mine"
    write_image(root / "b" / "2.png")
    write_image(root / "a.png")
    write_image(root / ".hidden" / "x.png")
    (root / "notes.txt").write_text("no image")
    write_tar(
        root / "s.tar", {"lfw/7.webp": b"seven", "flat.jpg": b"flat", "lfw/readme.md": b"-", "lfw/._7.webp": b"-"}
    )
    images = list_face_images([root]).images
    assert [image.name for image in images] == ["mine/a", "mine/b/2", "lfw/s/7", "mine/s/flat"]
    assert [image.source for image in images] == ["mine", "mine", "lfw", "mine"]
    assert images[0].read() == png()
    assert images[2].read() == b"seven"


def test_names_are_unique(tmp_path: Path) -> None:
    for folder, name in (("one", "x.png"), ("one", "x.jpg"), ("two/one", "x.png")):
        write_image(tmp_path / folder / name)
    images = list_face_images([tmp_path / "one", tmp_path / "two" / "one"]).images
    assert [image.name for image in images] == ["one/x", "one/x~2", "one/x~3"]


def test_members_that_point_out_of_the_archive_stay_inside_by_name(tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "s.tar", {"../../etc/a.png": png(), "/b/c.png": png()})
    assert [image.name for image in list_face_images([tar]).images] == ["etc/s/a", "b/s/c"]


def test_the_fingerprint_follows_the_images_and_not_their_place(tmp_path: Path) -> None:
    for parent in ("here", "there"):
        write_image(tmp_path / parent / "faces" / "a.png")
    here, there = (list_face_images([tmp_path / parent / "faces"]).sha256() for parent in ("here", "there"))
    assert here == there
    write_image(tmp_path / "there" / "faces" / "b.png")
    assert list_face_images([tmp_path / "there" / "faces"]).sha256() != here


@pytest.mark.parametrize("rest", [b"", b"\1" * 512, 100, 512, 512 + 1000])
def test_a_cut_off_tar_gives_what_lies_before_the_cut(tmp_path: Path, rest: int | bytes) -> None:
    """After three whole entries: nothing, garbage, a part of a header, a header, a part of the data."""
    tar = write_tar(tmp_path / "s.tar", {f"a/{i}.png": bytes(2000) for i in range(5)})
    data, whole = tar.read_bytes(), 3 * (512 + 2048)  # headers, and data in whole blocks
    tar.write_bytes(data[: whole + rest] if isinstance(rest, int) else data[:whole] + rest)
    listing = list_face_images([tar])
    assert [image.name for image in listing.images] == ["a/s/0", "a/s/1", "a/s/2"]
    assert all(image.read() == bytes(2000) for image in listing.images)
    assert len(listing.warnings) == 1
    assert str(tar) in listing.warnings[0]
    assert "3 images before" in listing.warnings[0]


def test_a_tar_that_is_none_is_an_error_where_named_and_a_warning_in_a_folder(tmp_path: Path) -> None:
    bad = tmp_path / "bad.tar"
    bad.write_bytes(b"not an archive" * 100)
    with pytest.raises(FewmarkError, match=r"bad\.tar: not a readable \.tar"):
        list_face_images([bad])
    with pytest.raises(FewmarkError, match=r"no images here \(.*bad\.tar: not a readable"):
        list_face_images([tmp_path])
    write_image(tmp_path / "good.png")
    listing = list_face_images([tmp_path])
    assert len(listing.images) == 1
    assert "bad.tar" in listing.warnings[0]
    assert "skipped" in listing.warnings[0]


def test_sources_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(FewmarkError, match="no-such: does not exist"):
        list_face_images([tmp_path / "no-such"])
    with pytest.raises(FewmarkError, match="no images here"):
        list_face_images([tmp_path])
    with pytest.raises(FewmarkError, match=r"neither a folder nor a \.tar"):
        list_face_images([write_image(tmp_path / "a.png")])


def test_an_image_that_shrank_since_it_was_listed_is_named(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    image = list_face_images([tmp_path]).images[0]
    image.path.write_bytes(b"")
    with pytest.raises(FewmarkError, match=r"ends within .*/a"):
        image.read()
