"""The sink of annotated stills."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from models.errors import FewmarkError
from tracker.sinks import AnnotatedImagesSink
from tracker.types import Frame, ImageArray, TrackingResult

RED = (200, 30, 20)


def still(name: str, size: tuple[int, int] = (24, 32)) -> TrackingResult:
    return TrackingResult(Frame(np.full((*size, 3), RED, np.uint8), 3, 3.0, name), ())


def plain(result: TrackingResult) -> ImageArray:
    return result.frame.image


def colour(path: Path) -> ImageArray:
    data = np.frombuffer(path.read_bytes(), np.uint8)
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB), np.uint8)


def test_images_keep_their_names_and_kinds(tmp_path: Path) -> None:
    folder = tmp_path / "photos.annotated"
    names = ["a.png", "b.JPG", "ü 北京.jpeg", "c.webp", "c.png", "no_suffix", ""]
    with AnnotatedImagesSink(folder, plain) as sink:
        for name in names:
            sink.write(still(name, (1, 1) if name == "c.png" else (24, 32)))
    written = {"a.png", "b.JPG", "ü 北京.jpeg", "c.webp.png", "c.png", "no_suffix.png", "000003.png"}
    assert {path.name for path in folder.iterdir()} == written
    assert sink.images_written == 7
    for path in folder.iterdir():
        signature = b"\xff\xd8\xff" if path.suffix.lower() in (".jpg", ".jpeg") else b"\x89PNG"
        assert path.read_bytes().startswith(signature)
        np.testing.assert_allclose(colour(path)[0, 0], RED, atol=6)


def test_an_image_of_an_earlier_run_is_replaced(tmp_path: Path) -> None:
    for size in ((8, 8), (4, 6)):
        with AnnotatedImagesSink(tmp_path / "out", plain) as sink:
            sink.write(still("a.png", size))
    assert colour(tmp_path / "out" / "a.png").shape == (4, 6, 3)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    for path in (tmp_path / "taken", tmp_path / "missing" / "out"):
        with pytest.raises(FewmarkError, match=f"{path.name}: cannot be created"):
            AnnotatedImagesSink(path, plain)
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_failed_write_keeps_the_images_before_it(tmp_path: Path) -> None:
    with AnnotatedImagesSink(tmp_path / "out", plain) as sink:
        sink.write(still("a.png"))
        (tmp_path / "out" / "b.png").mkdir()  # in the way
        with pytest.raises(FewmarkError, match=r"b\.png: writing failed .* 1 annotated images before it are kept"):
            sink.write(still("b.png"))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b.png"]
