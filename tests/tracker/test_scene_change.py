from pathlib import Path

import numpy as np

from tracker.scene_change import SceneChangeDetector
from tracker.sources import open_source


def test_a_light_is_no_cut_and_another_picture_is() -> None:
    rng = np.random.default_rng(0)
    first, second = (np.kron(rng.integers(0, 120, (9, 16, 3)), np.ones((20, 20, 1))).astype(np.uint8) for _ in "ab")
    scene = SceneChangeDetector()
    assert not scene.is_cut(first)
    assert not scene.is_cut(first * 2)
    assert not scene.is_cut(first + 100)
    assert scene.is_cut(second)
    scene.reset()
    assert not scene.is_cut(first)


def test_blank_and_tiny_images_are_no_cut() -> None:
    scene = SceneChangeDetector()
    for image in (
        np.zeros((50, 80, 3), np.uint8),
        np.full((1, 1, 3), 9, np.uint8),
        np.full((50, 80, 3), 255, np.uint8),
    ):
        assert not scene.is_cut(image)


def test_the_cut_of_a_real_clip_is_found(shared_data: Path) -> None:
    scene = SceneChangeDetector()
    # Photographers' flashes light up frames 109, 110, 135 and 136; the film cuts at frame 130.
    with open_source(shared_data / "videos/two_faces_720p.mp4", start_s=3.5, end_s=4.7) as source:
        cuts = [frame.index for frame in source if scene.is_cut(frame.image)]
    assert cuts == [130]
