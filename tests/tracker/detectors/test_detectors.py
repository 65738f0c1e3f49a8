"""Detectors on real photos and videos."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from models.errors import FewmarkError
from models.landmark_schemes import IBUG_68
from tracker.detectors import DETECTORS, FaceDetector
from tracker.detectors.blazeface import LANDMARK_BOX_FITS
from tracker.detectors.centerface import LANDMARK_BOX_FIT
from tracker.detectors.keypoint_box import KeypointDetection, LandmarkBoxFit, landmark_box
from tracker.detectors.native_stderr import without_stderr_lines
from tracker.detectors.tiling import Tile, merge, tiles
from tracker.detectors.turning import turned, turned_back
from tracker.files import model_store
from tracker.following.association import overlaps
from tracker.geometry.crop import box_around_points
from tracker.types import FaceBox, ImageArray
from training.datasets.base import FaceSample
from training.datasets.w300 import read_w300

ROOT = Path(__file__).parents[3]
DATA = Path(os.environ.get("FEWMARK_SHARED") or ROOT.parent / "shared") / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="real faces and videos (../shared/data) are not here")


@pytest.fixture(scope="module", params=list(DETECTORS))
def detector(request: pytest.FixtureRequest) -> Iterator[FaceDetector]:
    """Each detector."""
    yield from opened(request.param)


@pytest.fixture(scope="module")
def short_range() -> Iterator[FaceDetector]:
    yield from opened("short_range")


@pytest.fixture(scope="module")
def centerface() -> Iterator[FaceDetector]:
    yield from opened("centerface")


@pytest.fixture(scope="module")
def faces() -> list[FaceSample]:
    """Forty photos out of all three subsets."""
    samples = read_w300(DATA / "300w").samples
    return samples[5 :: len(samples) // 40][:40]


def opened(name: str) -> Iterator[FaceDetector]:
    try:
        for needed in ("short_range", "centerface") if name == "auto" else (name,):
            model_store.find_or_fetch(needed)
    except FewmarkError as error:
        pytest.skip(str(error))
    made = DETECTORS[name]()
    yield made
    made.close()


def frames(name: str, step: int, count: int) -> list[ImageArray]:
    """Every ``step``-th frame of a video."""
    images: list[ImageArray] = []
    with av.open(str(DATA / "videos" / name)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index % step == 0:
                images.append(frame.to_ndarray(format="rgb24"))
            if len(images) == count:
                break
    return images


def collage(samples: list[FaceSample], extent_px: float) -> tuple[ImageArray, list[FaceBox]]:
    """A 1920x1080 picture of up to forty photos in which every face is ``extent_px`` large, and their true boxes."""
    picture = np.full((1080, 1920, 3), 110, np.uint8)
    truth = []
    for index, sample in enumerate(samples):
        scale = extent_px / float(np.ptp(sample.points, axis=0).max())
        photo = cv2.resize(sample.load_image(), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:216, :240]
        left, top = 240 * (index % 8), 216 * (index // 8)
        picture[top : top + photo.shape[0], left : left + photo.shape[1]] = photo
        points = (sample.points + 0.5) * scale - 0.5 + (left, top)
        truth.append(box_around_points(points.astype(np.float32), IBUG_68))
    return picture, truth


@needs_data
def test_finds_labelled_faces_where_their_landmarks_are(detector: FaceDetector, faces: list[FaceSample]) -> None:
    overlap, size_error, roll_error = [], [], []
    for sample in faces:
        truth = box_around_points(sample.points, IBUG_68)
        found = detector.detect(sample.load_image())
        assert [box.score for box in found] == sorted((box.score for box in found), reverse=True)
        share = overlaps([truth], found)[0] if found else np.zeros(1)
        overlap.append(share.max())
        if share.max() > 0.5:
            best = found[int(share.argmax())]
            assert best.xyxy.dtype == np.float32
            assert best.width == pytest.approx(best.height, rel=1e-3)
            size_error.append(np.log(best.width / truth.width))
            roll_error.append(np.degrees(abs(best.roll - truth.roll)))
    assert np.mean(np.array(overlap) > 0.7) >= 0.95
    assert np.mean(overlap) > 0.82
    assert abs(np.mean(size_error)) < 0.03
    assert np.std(size_error) < 0.1
    assert np.median(roll_error) < 3.5


@needs_data
def test_turned_faces_have_the_roll_of_their_landmarks(detector: FaceDetector, faces: list[FaceSample]) -> None:
    errors = []
    for sample in faces[::4]:
        image = sample.load_image()
        height, width = image.shape[:2]
        for degrees in (-25, 25):
            turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 0.8)
            points = (sample.points @ turn[:, :2].T + turn[:, 2]).astype(np.float32)
            truth = box_around_points(points, IBUG_68)
            found = detector.detect(np.asarray(cv2.warpAffine(image, turn, (width, height)), np.uint8))
            if found and (share := overlaps([truth], found)[0]).max() > 0.5:
                errors.append(np.degrees(abs(found[int(share.argmax())].roll - truth.roll)))
    assert len(errors) >= 18
    assert np.median(errors) < 5


@needs_data
@pytest.mark.parametrize(
    ("name", "extent_px", "at_least"),
    [("short_range", 40, 35), ("short_range", 90, 39), ("centerface", 20, 36), ("centerface", 40, 39)],
)
def test_forty_small_faces(name: str, extent_px: int, at_least: int, faces: list[FaceSample]) -> None:
    picture, truth = collage(faces, extent_px)
    for made in opened(name):
        found = made.detect(picture, smallest_px=extent_px)
        share = overlaps(truth, found)
        assert np.sum(share.max(axis=1) > 0.5) >= at_least
        # One box a face; a few photos have a bystander.
        assert len(found) <= 45
        assert np.all(overlaps(found, found)[~np.eye(len(found), dtype=bool)] < 0.35)


@needs_data
def test_a_large_face_is_found_once_in_a_close_look(detector: FaceDetector, faces: list[FaceSample]) -> None:
    picture = np.asarray(cv2.resize(faces[0].load_image(), (1080, 1080)), np.uint8)
    assert len(detector.detect(picture, smallest_px=40)) == 1


@needs_data
@pytest.mark.parametrize(("name", "at_most"), [("short_range", 2), ("full_range", 8), ("centerface", 2)])
def test_false_faces_in_95_frames_of_nobody(name: str, at_most: int) -> None:
    for made in opened(name):
        assert sum(len(made.detect(image)) for image in frames("no_face.mp4", 1, 95)) <= at_most


@needs_data
def test_two_people_in_one_picture(short_range: FaceDetector) -> None:
    found = [len(short_range.detect(image)) for image in frames("head_turns_two_people.gif", 5, 8)]
    assert np.median(found) == 2


@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (1, 700), (700, 1), (300, 300)])
@pytest.mark.parametrize("value", [0, 255])
def test_images_without_a_face_of_any_size(detector: FaceDetector, shape: tuple[int, int], value: int) -> None:
    image = np.full((*shape, 3), value, np.uint8)
    assert detector.detect(image) == detector.detect(image, smallest_px=30) == []


@needs_data
def test_views_of_other_arrays_are_as_good_as_copies(short_range: FaceDetector, faces: list[FaceSample]) -> None:
    mirrored = faces[0].load_image()[:, ::-1]
    mirrored.flags.writeable = False
    direct, copied = short_range.detect(mirrored), short_range.detect(mirrored.copy())
    np.testing.assert_array_equal(direct[0].xyxy, copied[0].xyxy)


def test_other_arrays_than_rgb_images_are_refused(detector: FaceDetector) -> None:
    for wrong in (np.zeros((9, 9), np.uint8), np.zeros((9, 9, 4), np.uint8), np.zeros((9, 9, 3), np.float32)):
        with pytest.raises(ValueError, match=re.escape(str(wrong.shape))):
            detector.detect(wrong)


@pytest.mark.parametrize("name", list(DETECTORS))
def test_a_closed_detector_says_so(name: str) -> None:
    for made in opened(name):
        made.close()
        with pytest.raises(RuntimeError, match="closed"):
            made.detect(np.zeros((9, 9, 3), np.uint8))


@needs_data
def test_centerface_finds_the_same_by_every_engine(
    centerface: FaceDetector, faces: list[FaceSample], monkeypatch: pytest.MonkeyPatch
) -> None:
    picture, _ = collage(faces[:8], 60)
    found = centerface.detect(picture, smallest_px=50)
    monkeypatch.setitem(sys.modules, "openvino", None)  # as if it were not installed
    for made in opened("centerface"):
        by_opencv = made.detect(picture, smallest_px=50)
        assert len(by_opencv) == len(found)
        # OpenVINO may compute in bfloat16.
        assert overlaps(by_opencv, found).max(axis=1).min() > 0.85


@needs_data
def test_without_centerface_small_faces_are_looked_for_in_tiles(faces: list[FaceSample], tmp_path: Path) -> None:
    for _ in opened("short_range"):
        (tmp_path / "centerface.onnx").write_text("not a network")
        lines: list[str] = []
        made = DETECTORS["auto"](model_dir=tmp_path, report=lines.append)
        picture, truth = collage(faces, 90)
        found = made.detect(picture, smallest_px=50)
        made.close()
        assert np.sum(overlaps(truth, found).max(axis=1) > 0.5) >= 38
        assert len(lines) == 1
        assert re.search(r"short_range, as there is no centerface.*centerface\.onnx: not the file", lines[0])


@pytest.mark.parametrize("quarter_turns", [0, 1, 2, 3])
def test_a_box_is_turned_back_with_its_image(quarter_turns: int) -> None:
    image = np.zeros((60, 100, 3), np.uint8)
    image[20:29, 70:79] = 255  # centre (74, 24)
    rows, columns = np.nonzero(turned(image, quarter_turns)[..., 0])
    seen = FaceBox(np.array([columns.min(), rows.min(), columns.max(), rows.max()], np.float32), 0.7, roll=0.1)
    box = turned_back(seen, quarter_turns, width=100, height=60)
    np.testing.assert_allclose(box.xyxy, [70, 20, 78, 28])
    # What stands upright in an image that was turned to the left lies with its top to the right.
    assert math.cos(box.roll - (0.1 + quarter_turns * math.pi / 2)) == pytest.approx(1)
    assert abs(box.roll) <= math.pi


@pytest.mark.parametrize("fit", [*LANDMARK_BOX_FITS.values(), LANDMARK_BOX_FIT])
@pytest.mark.parametrize("count", [4, 6])
def test_the_landmark_box_turns_and_mirrors_with_the_face(fit: LandmarkBoxFit, count: int) -> None:
    keypoints = np.array([[80, 100], [125, 95], [110, 125], [108, 150], [60, 112], [150, 104.0]])[:count]
    mirror_image = (keypoints * (-1, 1))[[1, 0, 2, 3, 5, 4][:count]]
    upright = landmark_box(KeypointDetection(keypoints, 0.9), fit)
    mirrored = landmark_box(KeypointDetection(mirror_image, 0.9), fit)
    assert mirrored.centre == pytest.approx((-upright.centre[0], upright.centre[1]), abs=1e-3)
    assert (mirrored.width, mirrored.roll) == pytest.approx((upright.width, -upright.roll), abs=1e-3)
    turn = 2.5 * np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
    turned = landmark_box(KeypointDetection(keypoints @ turn.T + 7, 0.9), fit)
    assert turned.centre == pytest.approx(tuple(turn @ upright.centre + 7), abs=1e-2)
    assert (turned.width, turned.roll) == pytest.approx((2.5 * upright.width, upright.roll + 0.4), abs=1e-2)


def test_tiles_cover_the_image_and_stay_inside() -> None:
    for width, height in ((1920, 1080), (720, 1280), (500, 500), (241, 1000)):
        covered = np.zeros((height, width), bool)
        sides = set()
        for tile in tiles(width, height, min_side=240):
            assert 0 <= tile.left <= width - tile.side
            assert 0 <= tile.top <= height - tile.side
            covered[tile.rows, tile.columns] = True
            sides.add(tile.side)
        assert covered.all()
        assert max(sides) == min(width, height)
        assert min(sides) >= 240
    assert list(tiles(100, 1000, min_side=240)) == []


def test_tiles_cut_faces_only_where_the_image_goes_on() -> None:
    over_the_left = FaceBox(np.array([-5, 100, 60, 165], np.float32), 0.9)
    assert not Tile(0, 0, 400).cuts(over_the_left, 800, 400)
    over_the_right = FaceBox(np.array([380, 100, 420, 140], np.float32), 0.9)
    assert Tile(0, 0, 400).cuts(over_the_right, 800, 400)
    assert not Tile(400, 0, 400).cuts(FaceBox(np.array([780, 100, 820, 140], np.float32), 0.9), 800, 400)


def test_merging_drops_parts_of_a_face() -> None:
    face = FaceBox(np.array([0, 0, 300, 300], np.float32), 0.9)
    part = FaceBox(np.array([50, 50, 120, 120], np.float32), 0.8)
    neighbour = FaceBox(np.array([250, 0, 550, 300], np.float32), 0.7)
    assert merge([part, neighbour, face]) == [face, neighbour]


def test_the_detector_is_quiet_and_native_stderr_is_not_lost() -> None:
    for _ in opened("short_range"):
        code = (
            "import os, re, sys\n"
            "from tracker.detectors import DETECTORS\n"
            "DETECTORS['short_range']().close()\n"
            "from tracker.detectors.native_stderr import without_stderr_lines\n"
            "with without_stderr_lines(re.compile('chatter')):\n"
            "    os.write(2, b'chatter\\nreal trouble\\n')\n"
            "print('after', file=sys.stderr)\n"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stderr.splitlines() == ["real trouble", "after"]


def test_stderr_comes_back_after_an_exception(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with without_stderr_lines(re.compile("chatter")):
            os.write(2, b"chatter\nsaid before it stopped\n")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    os.write(2, b"chatter\n")
    assert capfd.readouterr().err.splitlines() == ["said before it stopped", "chatter"]


def test_missing_system_libraries_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in opened("short_range"):
        vision = pytest.importorskip("mediapipe.tasks.python.vision")

        def fail(options: object) -> None:
            raise OSError("libGLESv2.so.2: cannot open shared object file: No such file or directory")

        monkeypatch.setattr(vision.FaceDetector, "create_from_options", fail)
        with pytest.raises(FewmarkError, match=r"libGLESv2\.so\.2.*apt install libgles2 libegl1"):
            DETECTORS["short_range"]()
