from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.crop_rule import CropRule
from models.decoding.calibration import ConfidenceCalibration, calibration_from_dict
from models.errors import FewmarkError
from models.files.model_file import FaceModel, load_model, save_model
from models.landmark_schemes.base import LandmarkScheme
from models.networks.interleaved.face_network import FaceNetwork, FaceNetworkConfig

CALIBRATION = ConfidenceCalibration(
    knots=(0.0, 0.5, 1.0),
    curves=((0.0, 0.2, 1.0), (0.0, 0.5, 0.9)),
    curve_of_landmark=(0, 1, 0),
    method="by hand",
    fitted_on={"data": "300w validation", "faces": 182},
)


def test_each_landmark_goes_through_its_own_curve() -> None:
    raw = np.array([[0.25, 0.25, 0.75], [0.5, 0.5, 1.0]], np.float32)
    calibrated = CALIBRATION.apply(raw)
    np.testing.assert_allclose(calibrated, [[0.1, 0.25, 0.6], [0.2, 0.5, 1.0]], atol=1e-6)
    assert calibrated.dtype == np.float32


def test_any_leading_shape_and_values_beyond_the_ends() -> None:
    raw = np.array([-0.1, 0.0, 1.1], np.float32)
    np.testing.assert_allclose(CALIBRATION.apply(raw), [0, 0, 1])
    assert CALIBRATION.apply(np.zeros((2, 5, 3), np.float32)).shape == (2, 5, 3)


@given(st.lists(st.floats(0, 1, width=32), min_size=2, max_size=20))
def test_the_order_of_confidences_is_kept(values: list[float]) -> None:
    raw = np.repeat(np.sort(np.array(values, np.float32))[:, None], 3, axis=1)
    calibrated = CALIBRATION.apply(raw)
    assert (np.diff(calibrated, axis=0) >= 0).all()
    assert ((calibrated >= 0) & (calibrated <= 1)).all()


def test_there_and_back_through_json() -> None:
    again = calibration_from_dict(json.loads(json.dumps(CALIBRATION.to_dict())))
    assert again == CALIBRATION
    assert again.meaning == "probability of an error below 5 % (normaliser: outer-eyes)"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"knots": (0.0, 0.5, 0.5)}, "rise from 0 to 1"),
        ({"knots": (0.1, 0.5, 1.0)}, "rise from 0 to 1"),
        ({"curves": ((0.0, 0.4, 0.3), (0.0, 0.5, 0.9))}, "falls"),
        ({"curves": ((0.0, 1.0), (0.0, 1.0))}, "3 values"),
        ({"curves": ((0.0, 0.5, 1.2), (0.0, 0.5, 0.9))}, "of 0..1"),
        ({"curves": ((0.0, float("nan"), 1.0), (0.0, 0.5, 0.9))}, "of 0..1"),
        ({"curve_of_landmark": (0, 2, 0)}, "no curve"),
        ({"curve_of_landmark": ()}, "no curve"),
    ],
)
def test_what_is_no_calibration_is_refused(change: dict[str, object], complaint: str) -> None:
    with pytest.raises(FewmarkError, match=complaint):
        calibration_from_dict(CALIBRATION.to_dict() | change)


def test_a_header_that_lacks_something_is_refused() -> None:
    content = CALIBRATION.to_dict()
    del content["knots"]
    with pytest.raises(FewmarkError, match="not readable"):
        calibration_from_dict(content)


def small_model() -> FaceModel:
    config = FaceNetworkConfig(num_landmarks=3, input_size=128, heatmap_size=64, width=0.25)
    scheme = LandmarkScheme("three", ("a", "b", "c"))
    return FaceModel("small", FaceNetwork(config), scheme, CropRule())


def test_a_model_file_carries_its_calibration(tmp_path: Path) -> None:
    path, model = tmp_path / "m.safetensors", small_model()
    raw = np.full((1, 3), 0.5, np.float32)
    save_model(path, model)
    plain = load_model(path)
    assert plain.calibration is None
    np.testing.assert_array_equal(plain.calibrated(raw), raw)
    assert plain.confidence_meaning.startswith("not calibrated: ")

    save_model(path, replace(model, calibration=CALIBRATION))
    calibrated = load_model(path)
    assert calibrated.calibration == CALIBRATION
    np.testing.assert_allclose(calibrated.calibrated(raw), [[0.2, 0.5, 0.2]])
    assert calibrated.confidence_meaning == CALIBRATION.meaning


def test_a_calibration_for_other_landmarks_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_model(path, replace(small_model(), calibration=replace(CALIBRATION, curve_of_landmark=(0, 1))))
    with pytest.raises(FewmarkError, match="another number of landmarks"):
        load_model(path)
