"""Videos whose pixels are not square, on files made here."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tracker.playback import open_reader
from tracker.sources import open_source


def write_disc(path: Path, size: tuple[int, int], aspect: Fraction, *, codec: str = "libx264", turn: int = 0) -> Path:
    """Three frames with a disc, left of the middle, that is round when it is shown as the file says."""
    width, height = size
    shown = np.zeros((480, round(width * aspect / height * 480), 3), np.uint8)
    cv2.circle(shown, (shown.shape[1] // 3, 240), 120, (255, 255, 255), -1, cv2.LINE_AA)
    stored = cv2.resize(shown, size, interpolation=cv2.INTER_AREA)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        if turn:
            stream.set_display_rotation(turn, False, False)
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(stored, "rgb24")))
        container.mux(stream.encode(None))
    return path


def disc_extent(image: np.ndarray) -> tuple[float, float]:
    """Width and height of what is bright."""
    bright = image[..., 1] > 127
    return float(bright.any(0).sum()), float(bright.any(1).sum())


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.ts", "mpeg2video"), ("a.mov", "mpeg4")]
)
@pytest.mark.parametrize(
    ("size", "aspect", "square"),
    [
        ((180, 144), Fraction(16, 11), (262, 144)),
        ((240, 160), Fraction(8, 9), (240, 180)),
        ((160, 240), Fraction(2), (320, 240)),
    ],
)
def test_frames_are_in_square_pixels(
    tmp_path: Path, name: str, codec: str, size: tuple[int, int], aspect: Fraction, square: tuple[int, int]
) -> None:
    if codec == "mpeg2video":  # whose aspects are those of the screen, 4:3 and 16:9, alone
        aspect = Fraction(16, 9) / Fraction(*size)
        square = (round(size[1] * 16 / 9), size[1]) if aspect >= 1 else (size[0], round(size[0] * 9 / 16))
    path = write_disc(tmp_path / name, size, aspect, codec=codec)
    with open_source(path) as source, open_reader(path) as reader:
        assert (source.info.width, source.info.height) == (reader.info.width, reader.info.height) == square
        assert source.info.pixel_aspect == pytest.approx(float(aspect), rel=0.005)
        frame = next(iter(source))
        read = reader.read(0)
    assert read is not None
    np.testing.assert_array_equal(read.image, frame.image)
    assert read.pixel_aspect == frame.pixel_aspect == source.info.pixel_aspect
    assert frame.image.shape == (square[1], square[0], 3)
    assert frame.image.flags.c_contiguous
    width, height = disc_extent(frame.image)
    assert width == pytest.approx(height, abs=2.5)


@pytest.mark.parametrize("turn", [90, -90, 180])
def test_a_turned_video_is_stretched_before_it_is_turned(tmp_path: Path, turn: int) -> None:
    with open_source(write_disc(tmp_path / "a.mp4", (160, 240), Fraction(2), turn=turn)) as source:
        (frame, *_) = source
    assert frame.image.shape == ((240, 320, 3) if turn == 180 else (320, 240, 3))
    assert frame.pixel_aspect == (2.0 if turn == 180 else 0.5)
    width, height = disc_extent(frame.image)
    assert width == pytest.approx(height, abs=2.5)


def test_square_pixels_are_not_resampled(tmp_path: Path) -> None:
    """Scalers leave ratios of 4095:4096 behind."""
    for aspect in (Fraction(1), Fraction(4095, 4096)):
        with open_source(write_disc(tmp_path / "a.mp4", (160, 96), aspect)) as source:
            frame = next(iter(source))
        assert frame.image.shape == (96, 160, 3)
        assert frame.pixel_aspect == 1
