"""The pipeline with the shipped model and the real detector, on real faces and on frames without one."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from models import registry
from models.errors import FewmarkError
from tracker.config import DetectionConfig, TrackerConfig, TrackingConfig
from tracker.files.assets import demo_clip
from tracker.following.pipeline import FaceTracker, open_tracker
from tracker.sources import open_source
from tracker.types import Frame, ImageArray


def demo_frames(count: int, step: int = 1) -> list[Frame]:
    frames = []
    with open_source(demo_clip()) as source:
        for frame in source:
            if frame.index % step == 0:
                frames.append(frame)
            if len(frames) == count:
                break
    return frames


@pytest.fixture(scope="module")
def portrait() -> ImageArray:
    return demo_frames(1)[0].image


def test_a_face_is_found_and_keeps_its_id(face_tracker: FaceTracker) -> None:
    results = [face_tracker.process(frame) for frame in demo_frames(12)]
    for result in results:
        assert [face.face_id for face in result.faces] == [0]
        face = result.faces[0]
        assert face.points.shape == (68, 2)
        assert face.confidence.shape == (68,)
        assert 0.4 < face.box.score <= 1
        left, top, right, bottom = face.box.xyxy
        assert left < face.points[30, 0] < right
        assert top < face.points[30, 1] < bottom
        # Brows above eyes above nose above mouth above chin.
        heights = [
            face.points[group, 1].mean() for group in ([*range(17, 27)], [*range(36, 48)], [30], [*range(48, 68)], [8])
        ]
        assert heights == sorted(heights)
    moves = [np.abs(b.faces[0].points - a.faces[0].points).mean() for a, b in pairwise(results)]
    assert max(moves) < 0.1 * results[0].faces[0].box.width
    assert set(results[0].stage_ms) >= {"detect", "crop", "network"}
    assert "detect" not in results[1].stage_ms


def test_heatmaps_come_only_on_request(face_tracker: FaceTracker, portrait: ImageArray) -> None:
    frame = Frame(portrait, 0, 0.0)
    assert face_tracker.process(frame).faces[0].heatmap is None
    heatmap = face_tracker.process(frame, heatmaps=True).faces[0].heatmap
    assert heatmap is not None
    assert heatmap.shape == (64, 64)
    assert heatmap.max() == pytest.approx(1)


def test_a_model_that_cannot_reconstruct_says_so(without_reconstruction: Path, portrait: ImageArray) -> None:
    config = TrackerConfig(model=str(without_reconstruction), backend="eager")
    with open_tracker(config) as tracker, pytest.raises(FewmarkError, match="not trained to reconstruct"):
        tracker.process(Frame(portrait, 0, 0.0), reconstructions=True)


def test_where_the_reconstructions_weights_are_missing_tracking_says_so_once_and_goes_on(
    portrait: ImageArray, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(registry, "AUTOENCODER", replace(registry.AUTOENCODER, name="nowhere"))
    with open_tracker(TrackerConfig(model="fast128", backend="eager")) as tracker:
        results = [tracker.process(Frame(portrait, i, i / 30), reconstructions=True) for i in range(3)]
    assert [len(result.faces) for result in results] == [1, 1, 1]
    assert all(face.reconstruction is None for result in results for face in result.faces)
    (said,) = [record.getMessage() for record in caplog.records if "nowhere.safetensors" in record.getMessage()]
    assert said.startswith("no reconstructions:")
    assert said.endswith("install Fewmark again")


def test_the_landmarks_move_with_the_image(face_tracker: FaceTracker, portrait: ImageArray) -> None:
    points = face_tracker.process(Frame(portrait, 0, 0.0)).faces[0].points
    face_tracker.reset()
    moved = cv2.warpAffine(portrait, np.array([[1, 0, 40], [0, 1, -25]], np.float32), portrait.shape[1::-1])
    there = face_tracker.process(Frame(np.asarray(moved, np.uint8), 0, 0.0)).faces[0].points
    size = np.ptp(points[:, 0])
    assert np.abs(there - points - (40, -25)).mean() < 0.02 * size


def test_the_mirrored_image_gives_mirrored_landmarks(face_tracker: FaceTracker, portrait: ImageArray) -> None:
    points = face_tracker.process(Frame(portrait, 0, 0.0)).faces[0].points
    face_tracker.reset()
    flipped = np.ascontiguousarray(portrait[:, ::-1])
    there = face_tracker.process(Frame(flipped, 0, 0.0)).faces[0].points
    there[:, 0] = portrait.shape[1] - 1 - there[:, 0]
    difference = there[list(face_tracker.model.scheme.mirror_permutation)] - points
    assert np.abs(difference).mean() < 0.04 * np.ptp(points[:, 0])


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (240, 320)])
def test_images_without_a_face_give_an_empty_result(face_tracker: FaceTracker, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    for image in (np.zeros((*shape, 3), np.uint8), rng.integers(0, 256, (*shape, 3), np.uint8)):
        assert face_tracker.process(Frame(image, 0, 0.0)).faces == ()


def test_a_still_and_its_mirror_image_agree(face_tracker: FaceTracker, portrait: ImageArray) -> None:
    result = face_tracker.process_still(Frame(portrait, 0, 0.0))
    mirrored = face_tracker.process_still(Frame(np.ascontiguousarray(portrait[:, ::-1]), 1, 0.0))
    assert [face.face_id for face in (*result.faces, *mirrored.faces)] == [0, 0]
    points, there = result.faces[0].points, mirrored.faces[0].points
    there[:, 0] = portrait.shape[1] - 1 - there[:, 0]
    difference = there[list(face_tracker.model.scheme.mirror_permutation)] - points
    assert np.abs(difference).mean() < 0.01 * np.ptp(points[:, 0])


def test_a_small_face_is_found_in_a_still(face_tracker: FaceTracker, portrait: ImageArray) -> None:
    canvas = np.full((2000, 3000, 3), 90, np.uint8)
    canvas[800:1016, 1300:1684] = cv2.resize(portrait, (384, 216), interpolation=cv2.INTER_AREA)
    (face,) = face_tracker.process_still(Frame(canvas, 0, 0.0)).faces
    assert 1300 < face.points[30, 0] < 1684


def test_a_small_face_of_a_recording_is_followed_from_its_first_frame(
    shared_data: Path, face_tracker: FaceTracker
) -> None:
    with open_source(shared_data / "videos/hand_over_face_thanks.mkv", end_s=0.35) as source:
        results = [face_tracker.process(frame, recorded=True) for frame in source]
    assert len(results) == 11
    for result in results:
        (face,) = result.faces
        assert 40 < face.box.width < 90
        assert 250 < face.points[30, 0] < 370
        assert 60 < face.points[30, 1] < 160


def test_a_skull_on_a_shirt_is_no_face(shared_data: Path, face_tracker: FaceTracker) -> None:
    """Its landmarks are as sure as those of a face that is turned away, but the detector is not."""
    with open_source(shared_data / "videos/hand_over_face_help.mkv", end_s=0.8) as source:
        results = [face_tracker.process(frame, recorded=True) for frame in source]
    assert {len(result.faces) for result in results} == {1}
    face_tracker.reset()
    with open_source(shared_data / "videos/two_faces_720p.mp4", end_s=0.35) as source:
        results = [face_tracker.process(frame, recorded=True) for frame in source]
    seen = [result.frame.index for result in results if result.faces]
    assert seen in ([8, 9], [9])  # the first ones of a film scene: that face is turned away


def test_a_lost_face_is_found_again_under_its_id(face_tracker: FaceTracker, portrait: ImageArray) -> None:
    grey = np.full_like(portrait, 60)
    ids = []
    for i, image in enumerate([portrait] * 3 + [grey] * 3 + [portrait] * 3):
        ids.append([face.face_id for face in face_tracker.process(Frame(image, i, i / 30)).faces])
    assert ids[2] == [0]
    assert ids[4] == []
    assert ids[-1] == [0]


def test_after_a_cut_ids_start_anew(shared_data: Path, face_tracker: FaceTracker) -> None:
    with open_source(shared_data / "videos/two_faces_720p.mp4", start_s=4.1, end_s=4.6) as source:
        results = [face_tracker.process(frame) for frame in source]
    before = {f.face_id for r in results for f in r.faces if r.frame.index < 130}
    after = {f.face_id for r in results for f in r.faces if r.frame.index >= 130}
    assert before
    assert after
    assert not before & after


def test_a_pan_as_quick_as_a_cut_keeps_the_ids(face_tracker: FaceTracker) -> None:
    """The demo clip as a slow machine sees it, from one person to two."""
    with open_source(demo_clip(), start_s=7.5, end_s=9.6) as source:
        results = [face_tracker.process(frame) for frame in islice(source, 0, None, 5)]
    ids = [[face.face_id for face in result.faces] for result in results]
    assert ids[0] == [0]
    assert ids[-1] == [0, 1]
    assert {face_id for each in ids for face_id in each} == {0, 1}


def test_after_a_cut_with_a_frame_of_both_scenes_nothing_of_the_old_one_is_left(
    shared_data: Path, face_tracker: FaceTracker
) -> None:
    with open_source(shared_data / "videos/two_faces_720p.mp4", start_s=6.7, end_s=7.0) as source:
        results = [face_tracker.process(frame, recorded=True) for frame in source]
    assert {len(r.faces) for r in results if r.frame.index < 205} == {1}
    before = {f.face_id for r in results for f in r.faces if r.frame.index < 205}
    after = [[f.face_id for f in r.faces] for r in results if r.frame.index >= 206]
    assert len(after) == 3
    assert all(len(ids) == 1 and ids[0] not in before for ids in after)


def test_smoothing_calms_a_still_face(portrait: ImageArray) -> None:
    rng = np.random.default_rng(0)
    frames = []
    for i in range(12):
        noisy = np.clip(portrait + rng.normal(0, 12, portrait.shape), 0, 255).astype(np.uint8)
        frames.append(Frame(noisy, i, i / 30))
    jitter = {}
    for smooth in (False, True):
        with open_tracker(TrackerConfig(smooth=smooth)) as tracker:
            points = np.stack([tracker.process(frame).faces[0].points for frame in frames])
        jitter[smooth] = np.abs(np.diff(points, axis=0)).mean()
    assert jitter[True] < 0.6 * jitter[False]


def forty_faces(shared_data: Path) -> ImageArray:
    paths = sorted((shared_data / "300w/helen/trainset").glob("*.jpg"))[:40]
    cells = []
    for path in paths:
        image = cv2.imread(str(path))
        side = min(image.shape[:2])
        y, x = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
        cells.append(cv2.resize(image[y : y + side, x : x + side], (200, 200), interpolation=cv2.INTER_AREA))
    rows = [np.hstack(cells[i : i + 8]) for i in range(0, 40, 8)]
    return np.ascontiguousarray(np.vstack(rows)[..., ::-1])


def test_forty_faces(shared_data: Path) -> None:
    config = TrackerConfig(detection=DetectionConfig(small_faces=True), tracking=TrackingConfig(max_faces=40))
    with open_tracker(config) as tracker:
        image = forty_faces(shared_data)
        faces = tracker.process(Frame(image, 0, 0.0)).faces
        cells = {(int(f.points[30, 0]) // 200, int(f.points[30, 1]) // 200) for f in faces}
        assert len(cells) >= 37
        assert [f.face_id for f in tracker.process(Frame(image, 1, 0.04)).faces] == [f.face_id for f in faces]


def test_no_more_faces_than_asked_for(shared_data: Path) -> None:
    config = TrackerConfig(detection=DetectionConfig(small_faces=True), tracking=TrackingConfig(max_faces=3))
    with open_tracker(config) as tracker:
        for i in range(2):
            assert len(tracker.process(Frame(forty_faces(shared_data), i, i * 1.0)).faces) == 3


def test_unknown_parts_are_named() -> None:
    with pytest.raises(FewmarkError, match="detector 'nose'"):
        open_tracker(TrackerConfig(detection=DetectionConfig(detector="nose")))
    with pytest.raises(FewmarkError, match="backend 'abacus'"):
        open_tracker(TrackerConfig(backend="abacus"))
    with pytest.raises(FewmarkError, match="neither a shipped model"):
        open_tracker(TrackerConfig(model="nobody"))


def test_a_backend_that_fails_leaves_no_detector_open(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    monkeypatch.setattr("tracker.following.pipeline.open_detector", lambda *_, **__: opened.append(None))
    with pytest.raises(FewmarkError, match="backend tensorrt"):
        open_tracker(TrackerConfig(backend="tensorrt"))
    assert not opened
