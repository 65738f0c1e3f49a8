"""Faces in RAM: what is held out, which sizes fit, what is refused."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from models.errors import FewmarkError
from training.faces import FaceManifest, PrepareSettings, load_faces
from training.faces.manifest import ShardRecord, write_manifest


def write_prepared(folder: Path, count: int, settings: PrepareSettings, *, complete: bool = True) -> Path:
    """A folder as prepare-faces makes it, with flat pictures of which number i has the green value i."""
    folder.mkdir()
    side = settings.stored_side
    with tarfile.open(folder / "faces-00000.tar", "w") as tar:
        for i in range(count):
            image = np.full((side, side, 3), (0, i, 200), np.uint8)  # BGR
            data = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, 100))[1].tobytes()
            entry = tarfile.TarInfo(f"{'odd' if i % 2 else 'even'}/{i:03d}.jpg")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    shard = ShardRecord("faces-00000.tar", (("even", (count + 1) // 2), ("odd", count // 2)))
    manifest = FaceManifest(
        fewmark="test",
        given=("x",),
        settings=settings,
        images=count,
        listing_sha256="",
        complete=complete,
        shards=(shard,),
    )
    write_manifest(folder, manifest)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_prepared(tmp_path / "f32", 200, PrepareSettings(size=32))


def test_images_come_with_their_names(folder: Path) -> None:
    store = load_faces([folder], size=32, held_out=0.1)
    side = PrepareSettings(size=32).stored_side
    assert store.images.shape[1:] == store.held_out.shape[1:] == (3, side, side)
    assert store.images.dtype == torch.uint8
    assert store.images.is_contiguous()
    assert store.context == side / 32
    assert len(store.names) == len(store.images)
    for images, names in ((store.images, store.names), (store.held_out, store.held_out_names)):
        for image, name in zip(images, names, strict=True):
            red, green, blue = image.float().mean(dim=(1, 2)).tolist()
            assert (red, green, blue) == pytest.approx((200, int(name.split("/")[1]), 0), abs=3)
    assert sorted({*store.names, *store.held_out_names}) == sorted(
        f"{'odd' if i % 2 else 'even'}/{i:03d}" for i in range(200)
    )
    assert set(store.sources) == {"even", "odd"}


def test_the_same_faces_are_held_out_at_every_size(folder: Path, tmp_path: Path) -> None:
    larger = write_prepared(tmp_path / "f64", 150, PrepareSettings(size=64))
    small, large = load_faces([folder], size=32, held_out=0.1), load_faces([larger], size=64, held_out=0.1)
    assert 8 <= len(small.held_out) <= 35
    assert set(large.held_out_names) == {name for name in small.held_out_names if name.split("/")[1] < "150"}
    more = load_faces([folder], size=32, held_out=0.3)
    assert set(more.held_out_names) > set(small.held_out_names)


def test_nothing_held_out_on_request(folder: Path) -> None:
    store = load_faces([folder], size=32, held_out=0.0)
    assert len(store.images) == 200
    assert store.held_out.shape == (0, *store.images.shape[1:])


def test_a_plain_folder_of_crops_is_resized(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for i in range(40):
        side = (48, 20)[i % 2]
        cv2.imwrite(str(tmp_path / f"{i}.png"), rng.integers(0, 256, (side, side, 3), np.uint8))
    store = load_faces([tmp_path], size=32, held_out=0.2)
    assert store.images.shape[1:] == (3, 32, 32)
    assert store.context == 1
    assert len(store.images) + len(store.held_out) == 40
    assert store.held_out.shape[0] > 0


def test_folders_that_do_not_fit(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FewmarkError, match=r"prepared for 32 px, 64 are needed.*--size 64"):
        load_faces([folder], size=64)
    other = write_prepared(tmp_path / "tight", 5, PrepareSettings(size=32, context=1.0))
    with pytest.raises(FewmarkError, match="prepare both with the same"):
        load_faces([folder, other], size=32)
    unfinished = write_prepared(tmp_path / "part", 5, PrepareSettings(size=32), complete=False)
    with pytest.raises(FewmarkError, match="not finished"):
        load_faces([unfinished], size=32)
    with pytest.raises(FewmarkError, match="does not exist"):
        load_faces([tmp_path / "none"], size=32)
    with pytest.raises(FewmarkError, match="no folder of faces"):
        load_faces([], size=32)


def test_a_cut_off_shard_is_named(folder: Path) -> None:
    shard = folder / "faces-00000.tar"
    shard.write_bytes(shard.read_bytes()[:20_000])
    with pytest.raises(FewmarkError, match=r"faces-00000\.tar: \d+ faces, faces\.json says 200"):
        load_faces([folder], size=32)


def test_pictures_that_are_no_crops_are_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "wide.png"), np.zeros((20, 30, 3), np.uint8))
    with pytest.raises(FewmarkError, match="30x20, not square; run fewmark prepare-faces"):
        load_faces([tmp_path], size=32, held_out=0.0)
    (tmp_path / "wide.png").write_bytes(b"torn")
    with pytest.raises(FewmarkError, match=r"wide\.png: .*not a readable image"):
        load_faces([tmp_path], size=32, held_out=0.0)


@pytest.mark.parametrize(("count", "share", "message"), [(3, 0.001, "0 held out"), (3, 0.9999999, "0 to train on")])
def test_an_empty_part_of_the_split_is_refused(tmp_path: Path, count: int, share: float, message: str) -> None:
    few = write_prepared(tmp_path / "few", count, PrepareSettings(size=32))
    with pytest.raises(FewmarkError, match=message):
        load_faces([few], size=32, held_out=share)


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_is_a_share(folder: Path, share: float) -> None:
    with pytest.raises(FewmarkError, match="a share from 0 to below 1"):
        load_faces([folder], size=32, held_out=share)
