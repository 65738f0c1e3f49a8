"""Image files that move, and image files of several pages: told apart by what they hold, read to their end."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, features

from models.errors import FewmarkError
from tracker.batch.jobs import plan_jobs
from tracker.playback import open_reader
from tracker.sources import open_source
from tracker.sources.file_kind import is_still

COUNT = 12
DURATIONS_MS = [40, 40, 100, 40] * 3
TIMES_S = np.cumsum([0, *DURATIONS_MS[:-1]]) / 1000
GREYS = [20 + 15 * i for i in range(COUNT)]


def pictures(size: tuple[int, int] = (96, 64)) -> list[Image.Image]:
    """Only a square changes from one to the next, so that formats that can store no more than it."""
    still = np.random.default_rng(0).integers(0, 255, (size[1] // 8, size[0] // 8, 3), np.uint8)
    background = np.asarray(Image.fromarray(still).resize(size)).copy()
    images = []
    for grey in GREYS:
        background[24:40, 32:64] = grey
        images.append(Image.fromarray(background.copy()))
    return images


def shown_grey(image: np.ndarray) -> int:
    return round(float(image[28:36, 40:56].mean()))


def save_animation(path: Path, **options: object) -> Path:
    first, *others = pictures()
    first.save(path, save_all=True, append_images=others, duration=DURATIONS_MS, **options)  # type: ignore[arg-type]
    return path


def save_jpegs(path: Path, *, gap: bytes = b"") -> Path:
    data = io.BytesIO()
    for image in pictures():
        image.save(data, "jpeg", quality=95)
        data.write(gap)
    path.write_bytes(data.getvalue())
    return path


def check_film(path: Path, times_s: np.ndarray) -> None:
    """The twelve pictures, to the end, from a start, and back in playback."""
    assert not is_still(path)
    with open_source(path) as source:
        frames = list(source)
    assert source.warnings == []
    assert (source.info.width, source.info.height, source.info.are_stills) == (96, 64, False)
    np.testing.assert_allclose([shown_grey(frame.image) for frame in frames], GREYS, atol=3)
    np.testing.assert_allclose([frame.time_s for frame in frames], times_s, atol=1e-9)
    for frame in frames:
        assert (frame.image.dtype, frame.image.shape) == (np.uint8, (64, 96, 3))
        assert frame.image.flags.c_contiguous
    with open_source(path, start_s=times_s[7] - 1e-6, end_s=times_s[10] - 1e-6) as source:
        for frame, same in zip(source, frames[7:10], strict=True):
            assert (frame.index, frame.time_s) == (same.index, same.time_s)
            np.testing.assert_array_equal(frame.image, same.image)
    for order in (range(COUNT), reversed(range(COUNT)), (5, 11, 2)):
        with open_reader(path) as reader:
            np.testing.assert_allclose(reader.time_s, times_s, atol=1e-9)
            for index in order:
                read = reader.read(index)
                assert read is not None
                np.testing.assert_array_equal(read.image, frames[index].image)


@pytest.mark.parametrize("name", ["a.webp", "a.jpg"])
def test_an_animated_webp_is_a_film(tmp_path: Path, name: str) -> None:
    check_film(save_animation(tmp_path / "a.webp", lossless=True).rename(tmp_path / name), TIMES_S)


@pytest.mark.parametrize("name", ["a.png", "a.apng", "a.webp"])
def test_an_animated_png_is_a_film(tmp_path: Path, name: str) -> None:
    check_film(save_animation(tmp_path / "a.png").rename(tmp_path / name), TIMES_S)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow writes no AVIF")
def test_an_animated_avif_is_a_film(tmp_path: Path) -> None:
    check_film(save_animation(tmp_path / "a.avif", quality=95, speed=10), TIMES_S)


@pytest.mark.parametrize("name", ["a.mjpeg", "a.mjpg", "a.jpg", "stream"])
@pytest.mark.parametrize("gap", [b"", bytes(3)])
def test_a_stream_of_jpegs_is_a_film(tmp_path: Path, name: str, gap: bytes) -> None:
    check_film(save_jpegs(tmp_path / name, gap=gap), np.arange(COUNT) / 25)


def test_a_gif_is_a_film(tmp_path: Path) -> None:
    first, *others = [image.quantize(64) for image in pictures()]
    first.save(tmp_path / "a.gif", save_all=True, append_images=others, duration=DURATIONS_MS)
    with open_source(tmp_path / "a.gif") as source:
        np.testing.assert_allclose([frame.time_s for frame in source], TIMES_S, atol=1e-9)


def test_files_of_one_picture_are_stills(tmp_path: Path) -> None:
    image = pictures()[0]
    image.save(tmp_path / "a.png", save_all=True)
    for name in ("a.webp", "a.jpg", "a.tif", "a.bmp"):
        image.save(tmp_path / name)
    image.save(tmp_path / "rename.jpg")
    (tmp_path / "rename.jpg").rename(tmp_path / "a.mjpeg")
    for path in tmp_path.iterdir():
        assert is_still(path)
        with open_source(path) as source:
            assert source.info.are_stills
            assert len(list(source)) == 1


def test_photos_that_carry_further_pictures_are_stills(tmp_path: Path) -> None:
    first, *others = pictures()
    first.save(tmp_path / "stereo.jpg", "MPO", save_all=True, append_images=others[:1])
    preview, photo = io.BytesIO(), io.BytesIO()
    first.resize((48, 32)).save(preview, "jpeg")
    first.save(photo, "jpeg", exif=b"Exif\0\0" + preview.getvalue())  # a thumbnail within its own segment
    (tmp_path / "preview.jpg").write_bytes(photo.getvalue() + preview.getvalue())
    (tmp_path / "motion.jpg").write_bytes(photo.getvalue() + b"\0\0\0\x18ftypmp42" + bytes(64))
    (tmp_path / "end.jpg").write_bytes(photo.getvalue() + b"\xff\xd8\xff")
    (tmp_path / "cut.jpg").write_bytes(photo.getvalue()[:300])
    for path in tmp_path.iterdir():
        assert is_still(path)


@pytest.mark.parametrize("kind", ["webp", "png", "mjpeg"])
def test_a_cut_off_animation_delivers_what_is_there(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    data = (save_jpegs(path) if kind == "mjpeg" else save_animation(path)).read_bytes()
    mark = {"webp": b"ANMF", "png": b"fdAT", "mjpeg": b"\xff\xd8\xff"}[kind]
    path.write_bytes(data[: data.rindex(mark) + 30])
    with open_source(path) as source:
        frames = list(source)
    assert COUNT - 2 <= len(frames) <= COUNT
    for frame, grey in zip(frames[:-1], GREYS, strict=False):
        assert shown_grey(frame.image) == pytest.approx(grey, abs=6)
    assert [text for text in source.warnings if "cut off" in text]
    with open_reader(path) as reader:
        assert abs(len(reader.time_s) - len(frames)) <= 1


def test_a_webp_without_a_whole_frame_is_refused(tmp_path: Path) -> None:
    path = save_animation(tmp_path / "a.webp")
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(FewmarkError, match=r"a\.webp: no whole frame"):
        open_source(path)
    with pytest.raises(FewmarkError, match=r"no frame lies between start and end; it lasts 0\.66 s"):
        open_source(save_animation(tmp_path / "b.webp"), start_s=50)


def test_damage_within_a_webp_ends_it_and_is_told(tmp_path: Path) -> None:
    path = save_animation(tmp_path / "a.webp", lossless=True)
    data = bytearray(path.read_bytes())
    fifth = [i for i in range(len(data)) if data[i : i + 4] == b"ANMF"][4]
    end = fifth + 8 + int.from_bytes(data[fifth + 4 : fifth + 8], "little")
    data[fifth + 40 : end] = np.random.default_rng(0).integers(0, 255, end - fifth - 40, np.uint8).tobytes()
    path.write_bytes(data)
    with open_source(path) as source:
        assert len(list(source)) == 4
    assert source.warnings == [f"{path}: frame 5 can't be decoded; the file is damaged"]


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_the_pages_of_a_tiff_are_stills(tmp_path: Path, depth: type) -> None:
    scale = 1 if depth is np.uint8 else 257
    pages = [cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2BGR).astype(depth) * scale for image in pictures()[:3]]
    path = tmp_path / "scan.tif"
    path.write_bytes(cv2.imencodemulti(".tif", pages)[1].tobytes())
    cv2.imwrite(str(tmp_path / "a.tif"), pages[0])
    with open_source(path) as source:
        assert (source.info.frame_count, source.info.are_stills) == (3, True)
        frames = list(source)
    assert [(f.index, f.time_s, f.name) for f in frames] == [(i, float(i), f"scan.page{i + 1}.tif") for i in range(3)]
    for frame, image in zip(frames, pictures(), strict=False):
        np.testing.assert_array_equal(frame.image, np.asarray(image))
    with open_source(tmp_path) as folder, open_reader(tmp_path) as reader:
        assert [f.name for f in folder] == ["a.tif", "scan.page1.tif", "scan.page2.tif", "scan.page3.tif"]
        last = reader.read(3)
        assert last is not None
        assert last.name == "scan.page3.tif"
        np.testing.assert_array_equal(last.image, frames[2].image)


def test_thumbnails_and_masks_in_a_tiff_are_no_pages(tmp_path: Path) -> None:
    first, second = pictures()[:2]
    with Image.new("RGB", (12, 8)) as small:
        small.encoderinfo = {"tiffinfo": {254: 1}}  # Pillow's way to options for one page of several
        first.save(tmp_path / "a.tif", save_all=True, append_images=[small, second])
    with open_source(tmp_path / "a.tif") as source:
        assert [frame.image.shape for frame in source] == [(64, 96, 3)] * 2


def test_a_folder_counts_its_animations_among_the_videos(tmp_path: Path) -> None:
    save_animation(tmp_path / "a.webp")
    save_animation(tmp_path / "b.png")
    save_jpegs(tmp_path / "c.mjpg")
    assert [Path(job.spec).name for job in plan_jobs([str(tmp_path)])] == ["a.webp", "b.png", "c.mjpg"]
    pictures()[0].save(tmp_path / "d.png")
    save_jpegs(tmp_path / "e.jpg")
    assert [Path(job.spec).name for job in plan_jobs([str(tmp_path)])][3:] == [tmp_path.name]
    with open_source(tmp_path) as source:
        assert [frame.name for frame in source] == ["d.png", "e.jpg"]
    assert source.warnings == [
        f"{tmp_path / 'e.jpg'}: a film of JPEGs, of which the first is taken; name the file itself"
    ]
