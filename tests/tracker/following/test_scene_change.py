from pathlib import Path

import numpy as np

from tracker.following.scene_change import CUT, SceneChangeDetector
from tracker.sources import open_source


def test_a_light_is_no_cut_and_another_picture_is() -> None:
    rng = np.random.default_rng(0)
    first, second = (np.kron(rng.integers(0, 120, (9, 16, 3)), np.ones((20, 20, 1))).astype(np.uint8) for _ in "ab")
    scene = SceneChangeDetector()
    assert scene.resemblance(first) == 1
    assert scene.resemblance(first * 2) > 0.99
    assert scene.resemblance(first + 100) > 0.99
    assert scene.resemblance(second) < CUT
    scene.reset()
    assert scene.resemblance(first) == 1


def test_blank_and_tiny_images_are_no_cut() -> None:
    scene = SceneChangeDetector()
    for image in (
        np.zeros((50, 80, 3), np.uint8),
        np.full((1, 1, 3), 9, np.uint8),
        np.full((50, 80, 3), 255, np.uint8),
    ):
        assert scene.resemblance(image) == 1


def test_the_cut_of_a_real_clip_is_found(shared_data: Path) -> None:
    scene = SceneChangeDetector()
    # Photographers' flashes light up frames 109, 110, 135 and 136; the film cuts at frame 130.
    with open_source(shared_data / "videos/two_faces_720p.mp4", start_s=3.5, end_s=4.7) as source:
        cuts = [frame.index for frame in source if scene.resemblance(frame.image) < CUT]
    assert cuts == [130]
