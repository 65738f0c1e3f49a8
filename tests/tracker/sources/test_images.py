"""Single images and folders: depths, channels, orientation, order, unreadable files."""

from __future__ import annotations

import os
import struct
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.errors import FewmarkError
from tracker.sources import ImageFiles, open_source, read_image
from tracker.sources.file_kind import is_image
from tracker.sources.images import IMAGE_SUFFIXES, list_images

FACES = Path(os.environ.get("FEWMARK_SHARED") or Path(__file__).parents[4] / "shared") / "data/300w/afw"

# RGB, a different colour in every quarter; quarters of whole 16 px blocks, so that lossy formats keep them
CORNERS = np.full((64, 96, 3), 128, np.uint8)
CORNERS[:32, :48] = (255, 0, 0)
CORNERS[:32, 48:] = (0, 255, 0)
CORNERS[32:, :48] = (0, 0, 255)


def encoded(image: np.ndarray, suffix: str = ".png") -> bytes:
    """The bytes of an RGB, RGBA or grey image file."""
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR if image.shape[2] == 3 else cv2.COLOR_RGBA2BGRA)
    ok, data = cv2.imencode(suffix, image)
    assert ok
    return data.tobytes()


def save(path: Path, image: np.ndarray) -> Path:
    path.write_bytes(encoded(image, path.suffix))
    return path


def jpeg_with_orientation(image: np.ndarray, orientation: int) -> bytes:
    tiff = b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0) + bytes(4)
    segment = b"Exif\0\0" + tiff
    data = encoded(image, ".jpg")
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]


@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
def test_every_format_is_rgb(tmp_path: Path, suffix: str) -> None:
    with open_source(save(tmp_path / f"a{suffix}", CORNERS)) as source:
        assert (source.info.width, source.info.height, source.info.frame_count) == (96, 64, 1)
        assert source.info.frame_rate is None
        (frame,) = source
    assert (frame.index, frame.time_s, frame.name) == (0, 0.0, f"a{suffix}")
    assert frame.image.dtype == np.uint8
    assert frame.image.flags.c_contiguous
    assert np.mean(np.abs(frame.image.astype(int) - CORNERS)) < 4


def test_content_decides_not_the_suffix(tmp_path: Path) -> None:
    save(tmp_path / "a.png", CORNERS).rename(tmp_path / "picture.mp4")
    with open_source(tmp_path / "picture.mp4") as source:
        assert isinstance(source, ImageFiles)
    assert not is_image(b"BMW is a car maker")
    assert not is_image(b"")


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_are_scaled_to_eight(tmp_path: Path, suffix: str) -> None:
    deep = np.array([[0, 257, 128 * 257, 65535]], np.uint16)
    image = read_image(save(tmp_path / f"deep{suffix}", deep))
    assert image[0, :, 0].tolist() == [0, 1, 128, 255]
    assert image.shape == (1, 4, 3)


def test_grey_becomes_three_channels_and_alpha_is_dropped(tmp_path: Path) -> None:
    grey = read_image(save(tmp_path / "grey.png", np.full((3, 5), 77, np.uint8)))
    assert grey.shape == (3, 5, 3)
    assert (grey == 77).all()
    rgba = np.dstack([CORNERS, np.zeros((64, 96), np.uint8)])
    np.testing.assert_array_equal(read_image(save(tmp_path / "rgba.png", rgba)), CORNERS)


def test_float_pixels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FewmarkError, match=r"float\.tif: float32 pixels"):
        read_image(save(tmp_path / "float.tif", np.zeros((4, 4, 3), np.float32)))


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        (1, lambda a: a),
        (2, lambda a: a[:, ::-1]),
        (3, lambda a: a[::-1, ::-1]),
        (4, lambda a: a[::-1]),
        (5, lambda a: a.transpose(1, 0, 2)),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: np.rot90(a, -1)[::-1]),
        (8, lambda a: np.rot90(a, 1)),
    ],
)
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int, turn) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg_with_orientation(CORNERS, orientation))
    image = read_image(tmp_path / "a.jpg")
    expected = turn(CORNERS)
    assert image.shape == expected.shape
    assert np.mean(np.abs(image.astype(int) - expected)) < 4


def test_one_pixel_and_a_unicode_path(tmp_path: Path) -> None:
    folder = tmp_path / "Bilder 画像"
    folder.mkdir()
    with open_source(save(folder / "größe.png", np.full((1, 1, 3), 9, np.uint8))) as source:
        assert [frame.image.tolist() for frame in source] == [[[[9, 9, 9]]]]


def test_folder_is_sorted_naturally_and_counts_seconds(tmp_path: Path) -> None:
    for name in ("img10.png", "img2.png", "IMG1.png", "b.png"):
        save(tmp_path / name, CORNERS)
    (tmp_path / "._img3.png").write_bytes(b"resource fork")
    (tmp_path / "notes.txt").write_text("no image")
    with open_source(tmp_path) as source:
        frames = list(source)
        assert source.info.frame_count == 4
    assert [f.name for f in frames] == ["b.png", "IMG1.png", "img2.png", "img10.png"]
    assert [(f.index, f.time_s) for f in frames] == [(i, float(i)) for i in range(4)]
    with open_source(tmp_path, start_s=1, end_s=3) as source:
        assert [(f.index, f.name) for f in source] == [(1, "IMG1.png"), (2, "img2.png")]
    with pytest.raises(FewmarkError, match="none of its 4 images lies between"):
        open_source(tmp_path, start_s=4)


def test_unreadable_image_in_a_folder_is_skipped_and_named(tmp_path: Path) -> None:
    data = encoded(CORNERS)
    for name in ("a.png", "d.png"):
        (tmp_path / name).write_bytes(data)
    (tmp_path / "b.png").write_bytes(data[: len(data) // 2])
    (tmp_path / "c.png").touch()
    with open_source(tmp_path) as source:
        assert [(f.index, f.name) for f in source] == [(0, "a.png"), (3, "d.png")]
    assert len(source.warnings) == 2
    assert "b.png" in source.warnings[0]
    assert "c.png: the file is empty" in source.warnings[1]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp", ".tif"])
def test_single_cut_off_image_is_an_error(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    data = encoded(noise, suffix)
    (tmp_path / f"cut{suffix}").write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(FewmarkError, match=rf"cut\{suffix}: not a readable image"):
        open_source(tmp_path / f"cut{suffix}")


def test_bad_inputs_are_named(tmp_path: Path) -> None:
    with pytest.raises(FewmarkError, match=r"no images in this folder \(0 other files\)"):
        open_source(tmp_path)
    (tmp_path / "zero.png").touch()
    with pytest.raises(FewmarkError, match=r"zero\.png: the file is empty"):
        open_source(tmp_path / "zero.png")
    with pytest.raises(FewmarkError, match=r"no readable image; .*zero\.png"):
        open_source(tmp_path)
    with pytest.raises(FewmarkError, match=r"gone\.png: cannot be read"):
        read_image(tmp_path / "gone.png")
    with pytest.raises(FewmarkError, match="cannot be read"):
        list_images(tmp_path / "nowhere")
    (tmp_path / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(64))
    with pytest.raises(FewmarkError, match=r"HEIC and AVIF .* save it as JPEG or PNG"):
        open_source(tmp_path / "phone.heic")


def test_early_end_leaves_no_thread(tmp_path: Path) -> None:
    for i in range(20):
        save(tmp_path / f"{i}.png", CORNERS)
    before = threading.active_count()
    with open_source(tmp_path) as source:
        assert next(iter(source)).name == "0.png"
    assert threading.active_count() == before


@pytest.mark.skipif(not FACES.is_dir(), reason="the real photos (../shared/data) are not here")
def test_real_photos() -> None:
    with open_source(FACES, end_s=20) as source:
        frames = list(source)
    assert len(frames) == 20
    assert source.warnings == []
    for frame in frames:
        blue, green, red = cv2.split(cv2.imread(str(FACES / frame.name)))
        np.testing.assert_array_equal(frame.image, np.dstack([red, green, blue]))
