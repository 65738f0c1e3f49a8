"""From an image to the stored crop: the central square is the network's crop, and what surrounds an image is soft."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.crop_rule import CropRule
from models.errors import FewmarkError
from models.landmark_schemes import IBUG_68
from tracker.config import DetectionConfig
from tracker.detectors import FaceDetector
from tracker.following.pipeline import open_detector
from tracker.geometry.crop import box_around_points, cut_crop, frame_from_crop_matrix
from tracker.sources.images import decode_image, read_image
from training.datasets.w300 import read_w300
from training.faces.cutting import cut_image, cut_softly, find_face
from training.faces.listing import FaceImage
from training.faces.manifest import PrepareSettings


@pytest.fixture(scope="module")
def detector() -> Iterator[FaceDetector]:
    opened = open_detector(DetectionConfig())
    yield opened
    opened.close()


def as_face_image(path: Path) -> FaceImage:
    return FaceImage(f"test/{path.stem}", path, 0, path.stat().st_size)


@pytest.mark.parametrize(("size", "context", "side"), [(128, 1.4, 180), (256, 1.4, 358), (64, 1.0, 64)])
def test_the_centre_of_the_stored_crop_is_the_networks_crop(size: int, context: float, side: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (500, 600, 3), np.uint8)
    image = np.asarray(cv2.GaussianBlur(image, (0, 0), 3), np.uint8)
    points = np.array([[250, 180], [330, 195], [240, 290], [320, 300]], np.float32)
    box = box_around_points(np.resize(points, (68, 2)), IBUG_68)
    settings = PrepareSettings(size=size, context=context)
    assert settings.stored_side == side
    stored = cut_softly(image, frame_from_crop_matrix(box, side, settings.rule), side, size)
    seen = cut_crop(image, frame_from_crop_matrix(box, size, CropRule()), size).image
    edge = (side - size) // 2
    # OpenCV's fixed-point sampling and the averaging before it start from another corner.
    assert np.abs(stored[edge : side - edge, edge : side - edge].astype(int) - seen).max() <= 3


def test_what_surrounds_an_image_is_soft_and_what_lies_inside_untouched() -> None:
    image = np.random.default_rng(1).integers(0, 256, (100, 100, 3), np.uint8)
    shift = np.array([[1.0, 0, -40], [0, 1, -40]])  # the crop begins 40 px before the image
    crop = cut_softly(image, shift, 180, 128)
    assert (crop[40:140, 40:140] == image).all()
    outside = crop[:, :20].astype(float)
    assert outside.std() < 0.15 * image.std()
    assert abs(outside.mean() - image.mean()) < 10


def test_crops_of_real_faces_lie_where_their_landmarks_do(shared_data: Path, detector: FaceDetector) -> None:
    samples = read_w300(shared_data / "300w", ("afw",)).samples[::8]
    distances, sizes, rolls = [], [], []
    for sample in samples:
        found = find_face(detector, read_image(sample.image_path))
        assert found is not None
        true = box_around_points(sample.points, sample.scheme)
        distances.append(math.dist(found.centre, true.centre) / true.width)
        sizes.append(math.log(found.width / true.width))
        rolls.append(abs(math.degrees(math.remainder(found.roll - true.roll, math.tau))))
    assert np.median(distances) < 0.05
    assert abs(np.median(sizes)) < 0.08
    assert np.median(rolls) < 5


def test_a_face_that_fills_its_picture_is_found(shared_data: Path, detector: FaceDetector) -> None:
    """Cut so tightly that the detector alone misses some of them."""
    alone = together = 0
    samples = read_w300(shared_data / "300w", ("afw",)).samples[::4]
    for sample in samples:
        x0, y0 = np.maximum(sample.points.min(axis=0).astype(int), 0)
        x1, y1 = sample.points.max(axis=0).astype(int)
        tight = np.ascontiguousarray(read_image(sample.image_path)[y0:y1, x0:x1])
        alone += bool(detector.detect(tight))
        together += find_face(detector, tight) is not None
    assert together > alone
    assert together >= 0.9 * len(samples)


def test_outcomes(shared_data: Path, detector: FaceDetector, tmp_path: Path) -> None:
    face = next((shared_data / "300w" / "afw").glob("*.jpg"))
    settings = PrepareSettings(size=64)
    cut = cut_image(detector, as_face_image(face), settings)
    assert cut.outcome == "face"
    side = settings.stored_side
    assert decode_image(np.frombuffer(cut.jpeg, np.uint8), "cut").shape == (side, side, 3)

    assert cut_image(detector, as_face_image(face), PrepareSettings(min_face=10_000)).outcome == "small_face"

    grey = tmp_path / "grey.png"
    cv2.imwrite(str(grey), np.full((90, 120, 3), 128, np.uint8))
    assert cut_image(detector, as_face_image(grey), settings).outcome == "no_face"

    broken = tmp_path / "broken.jpg"
    broken.write_bytes(face.read_bytes()[:100])
    unreadable = cut_image(detector, as_face_image(broken), settings)
    assert unreadable.outcome == "unreadable"
    assert "test/broken" in unreadable.problem


@pytest.mark.parametrize(
    "wrong", [{"size": 8}, {"context": 0.9}, {"context": math.nan}, {"margin": 0.0}, {"min_face": -1.0}]
)
def test_settings_that_make_no_crop_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(FewmarkError, match=next(iter(wrong)).replace("_", "-")):
        PrepareSettings(**wrong)  # type: ignore[arg-type]
