"""Evaluating and calibrating as the command does, on real faces in the layout of 300-W."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from models.decoding.calibration import ConfidenceCalibration
from models.errors import FewmarkError
from models.files.model_file import load_model, save_model
from models.registry import DEFAULT_MODEL, MODELS, open_model
from tracker.cli import app
from tracker.following.pipeline import FaceTracker
from tracker.types import FloatArray, Frame, ImageArray
from training.datasets import FaceSample, select_samples
from training.evaluation import evaluate_model, load_evaluation, work_out
from training.evaluation.background import background_confidences

FACES = 5


@pytest.fixture(scope="module")
def few_faces(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of five faces of AFW, the last of which has no image."""
    root = tmp_path_factory.mktemp("300w")
    (root / "afw").mkdir()
    labels = sorted((shared_data / "300w/afw").glob("*.pts"))[: FACES + 1]
    for path in labels:
        shutil.copy(path, root / "afw")
    for path in labels[:-1]:
        shutil.copy(path.with_suffix(".jpg"), root / "afw")
    return root


def run(*arguments: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    return done.exit_code, done.stdout, done.stderr


def test_the_command_measures_reports_and_compares(few_faces: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    code, out, err = run("evaluate", few_faces, "--subset", "all", "--squares", 3, "--backend", "eager", "--out", first)
    assert code == 0, err
    assert "no image beside it" in err
    assert "3 squares without a face" in out
    figures = json.loads((first / "evaluation.json").read_text())
    assert figures["overall"]["faces"] == FACES
    assert figures["overall"]["nme_percent"] < 8
    assert figures["background"]["squares"] == 3

    options = (
        "--backend",
        "eager",
        "--crops",
        "truth",
        "--normaliser",
        "box-diagonal",
        "--threshold",
        5,
        "--squares",
        0,
    )
    code, out, err = run("evaluate", few_faces, "--subset", "all", *options, "--compare", first, "--out", second)
    assert code == 0, err
    assert "FR@5 %" in out
    figures = json.loads((second / "evaluation.json").read_text())
    assert [other["name"] for other in figures["compared"]] == ["first"]
    # The earlier run is measured by today's normaliser.
    expected = work_out(load_evaluation(first), normaliser="box-diagonal", threshold=0.05)
    assert figures["compared"][0]["overall"]["nme_percent"] == pytest.approx(expected.overall.nme_percent, abs=1e-4)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("evaluate", ".", "--normaliser", "nose"), "normaliser 'nose' is unknown"),
        (("evaluate", ".", "--compare", "nowhere"), "no earlier evaluation here"),
        (("evaluate-video", "nowhere.mp4"), "nowhere.mp4: no such file"),
        (("evaluate-video", "nowhere.mp4", "--normaliser", "nose"), "normaliser 'nose' is unknown"),
        (("calibrate", "nowhere.safetensors", "--data", "."), "nowhere.safetensors: neither a shipped model"),
        (("calibrate", "fine256", "--data", "."), "fine256: a shipped model stays as it is; say with --out"),
    ],
)
def test_bad_input_is_one_line_and_code_2(arguments: tuple[str, ...], complaint: str) -> None:
    code, _, err = run(*arguments)
    assert code == 2
    assert complaint in err
    assert len(err.strip().splitlines()) == 1


def test_an_image_is_no_video(few_faces: Path) -> None:
    code, _, err = run("evaluate-video", next((few_faces / "afw").glob("*.jpg")))
    assert code == 2
    assert "single images have no jitter" in err


def test_too_few_faces_to_calibrate_leave_the_model_as_it_was(few_faces: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    shutil.copy(MODELS[DEFAULT_MODEL].weights, path)
    before = path.read_bytes()
    code, _, err = run("calibrate", path, "--data", few_faces, "--subset", "all", "--backend", "eager")
    assert code == 2
    assert "photos are too few" in err
    assert path.read_bytes() == before


def test_validation_is_what_the_models_own_recipe_held_out(few_faces: Path) -> None:
    model = replace(open_model(DEFAULT_MODEL), provenance={"recipe": {"data": {"validation": 0.4}}})
    evaluation = evaluate_model(model, few_faces, crops="truth", backend="eager")
    held_out = select_samples("300w", few_faces, "validation", 0.4).samples
    assert 0 < len(held_out) < FACES
    assert list(evaluation.faces.images) == [s.image_path.relative_to(few_faces).as_posix() for s in held_out]


def write_csv(path: Path, samples: Sequence[FaceSample], names: Sequence[str]) -> None:
    """A table of 300-W's faces under names of one's own, the columns in the order of the names."""
    known = samples[0].scheme.point_names
    rows = [["image", *(f"{name}_{axis}" for name in names for axis in "xy")]]
    for sample in samples:
        points = [sample.points[known.index(name)] if name in known else (9.0, 9.0) for name in names]
        rows.append([str(sample.image_path), *(f"{value:.3f}" for point in points for value in point)])
    path.write_text("\n".join(map(",".join, rows)) + "\n", encoding="utf-8")


def test_landmarks_are_compared_by_their_names(few_faces: Path, tmp_path: Path) -> None:
    samples = select_samples("300w", few_faces, "all").samples
    names = list(reversed(samples[0].scheme.point_names))
    write_csv(tmp_path / "turned.csv", samples, names)
    expected = evaluate_model(None, few_faces, subset="all", crops="truth", backend="eager")
    found = evaluate_model(None, tmp_path, dataset="csv", subset="all", crops="truth", backend="eager")
    np.testing.assert_allclose(found.faces.points, expected.faces.points, atol=1e-3)
    np.testing.assert_allclose(found.predicted, expected.predicted, atol=0.01)

    write_csv(tmp_path / "turned.csv", samples, [*names[:-1], "forehead"])
    with pytest.raises(FewmarkError, match=r"can't be measured on these labels: .*forehead is none of them"):
        evaluate_model(None, tmp_path, dataset="csv", subset="all", backend="eager")


def halved() -> ConfidenceCalibration:
    return ConfidenceCalibration((0.0, 1.0), ((0.0, 0.5),), (0,) * 68, fitted_on={"data": "by hand"})


def test_calibrated_confidences_are_what_users_see(few_faces: Path, tmp_path: Path) -> None:
    model = open_model(DEFAULT_MODEL)
    for crops in ("detector", "truth"):
        raw, calibrated = (
            evaluate_model(replace(model, calibration=c), few_faces, subset="all", crops=crops, backend="eager")
            for c in (None, halved())
        )
        np.testing.assert_array_equal(calibrated.predicted, raw.predicted)
        # Raw confidence decides what is a face: halved, it would have found none.
        np.testing.assert_allclose(calibrated.confidence, raw.confidence / 2, atol=1e-6)
        assert raw.confidence.max() > 0.55
        assert (raw.calibrated_on, calibrated.calibrated_on) == ("", "by hand")
        assert calibrated.confidence_meaning == "probability of an error below 5 % (normaliser: outer-eyes)"


def test_the_tracker_scores_a_face_by_its_calibrated_confidence(face_tracker: FaceTracker, few_faces: Path) -> None:
    sample = select_samples("300w", few_faces, "all").samples[0]
    frame, shipped = Frame(sample.load_image(), 0, 0.0), face_tracker.model
    try:
        face_tracker.model = replace(shipped, calibration=None)
        raw = face_tracker.process_still(frame).faces[0]
        face_tracker.model = replace(shipped, calibration=halved())
        calibrated = face_tracker.process_still(frame).faces[0]
    finally:
        face_tracker.model = shipped
    assert raw.box.score == pytest.approx(float(raw.confidence.mean()))
    np.testing.assert_allclose(calibrated.confidence, raw.confidence / 2, atol=1e-6)
    assert calibrated.box.score == pytest.approx(raw.box.score / 2)


def test_squares_touch_no_face(few_faces: Path, face_tracker: FaceTracker, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = select_samples("300w", few_faces, "all").samples
    red = np.array([255, 0, 0], np.uint8)
    seen: list[FloatArray] = []

    def painted(sample: FaceSample) -> ImageArray:
        """The photo with its face in pure red: a crop that shows red touches the face."""
        image = original(sample)
        left, top = np.floor(sample.points.min(axis=0)).astype(int).clip(0)
        right, bottom = np.ceil(sample.points.max(axis=0)).astype(int) + 1
        image[top:bottom, left:right] = red
        return image

    original = FaceSample.load_image
    monkeypatch.setattr(FaceSample, "load_image", painted)
    predict = face_tracker.backend.predict

    def remember(crops: ImageArray) -> object:
        seen.extend((crops == red).all(axis=-1).mean(axis=(1, 2)))
        return predict(crops)

    monkeypatch.setattr(face_tracker.backend, "predict", remember)
    confidences = background_confidences(
        face_tracker.model, face_tracker.backend, face_tracker._detector, [[s] for s in samples] * 4, most=12
    )
    assert confidences.shape == (12,)
    assert ((confidences >= 0) & (confidences <= 1)).all()
    assert np.median(confidences) < 0.55
    assert max(seen) == 0


@pytest.mark.slow
def test_the_shipped_model_calibrates_well(shared_data: Path, tmp_path: Path) -> None:
    path = tmp_path / "calibrated.safetensors"
    model = tmp_path / "model.safetensors"
    save_model(model, replace(open_model(DEFAULT_MODEL), calibration=None), half=True)
    code, out, err = run("calibrate", model, "--data", shared_data / "300w", "--out", path)
    assert code == 0, err
    assert "Taken: " in out
    calibration = load_model(path).calibration
    assert calibration is not None
    assert calibration.fitted_on["calibration_error"] <= 0.05
    assert calibration.fitted_on["calibration_error"] < calibration.fitted_on["calibration_error_before"]
    assert path.stat().st_size < 1.01 * model.stat().st_size  # still half precision
