"""The backends of the CPU against the plain network, on real faces of the demo clip."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from installed import needs

from models.decoding.heatmaps import collapse_heatmaps
from models.decoding.shape_prior import decode_face
from models.files.model_file import FaceModel
from models.registry import open_model
from tracker.backends import Backend, PredictionRequest
from tracker.backends.eager import EagerBackend
from tracker.backends.self_test import MAX_DEVIATION
from tracker.files.assets import demo_clip
from tracker.geometry.crop import cut_crop, frame_from_crop_matrix
from tracker.sources import open_source
from tracker.types import FaceBox, ImageArray


def _in_float32(name: str, model: FaceModel) -> Backend:
    """A backend without the bf16 that a processor may have."""
    if name == "eager":
        return EagerBackend(model, "cpu")
    needs("openvino", extra="openvino")
    from tracker.backends.openvino import OpenVinoBackend

    return OpenVinoBackend(model, precision="f32")


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return open_model("fine256")


@pytest.fixture(scope="module")
def crops(model: FaceModel) -> ImageArray:
    """(3, S, S, 3): the face of the demo clip's first frame, nearer, farther and turned."""
    with open_source(demo_clip()) as source:
        image = next(iter(source)).image
    found = []
    for side, roll in ((230, 0.0), (270, 0.0), (250, 0.2)):
        box = FaceBox(np.array([600 - side / 2, 300 - side / 2, 600 + side / 2, 300 + side / 2], np.float32), 1.0, roll)
        size = model.network.config.input_size
        found.append(cut_crop(image, frame_from_crop_matrix(box, size, model.crop_rule), size).image)
    return np.stack(found)


@pytest.fixture(scope="module", params=["openvino", "eager"])
def backend(request: pytest.FixtureRequest, model: FaceModel) -> Backend:
    return _in_float32(request.param, model)


def test_a_backend_agrees_with_the_network(backend: Backend, model: FaceModel, crops: ImageArray) -> None:
    prediction = backend.predict(crops, PredictionRequest(heatmaps=True, reconstructions=True))
    images = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        located = model.network.locate(images)
        heatmaps = collapse_heatmaps(model.network(images))
        reconstructions = model.reconstructor.reconstruct(images).mul(255).permute(0, 2, 3, 1)
    assert np.abs(prediction.points - located.points.numpy()).max() < 0.05
    assert np.abs(prediction.confidence - located.confidence.numpy()).max() < 0.01
    assert prediction.heatmaps is not None
    assert np.abs(prediction.heatmaps - heatmaps.numpy()).max() < 0.01
    assert prediction.reconstructions is not None
    assert prediction.reconstructions.dtype == np.uint8
    assert np.abs(prediction.reconstructions - reconstructions.numpy()).max() <= 1.5
    assert prediction.confidence.mean() > 0.5


@pytest.mark.parametrize("name", ["openvino", "eager"])
def test_a_backend_asks_the_models_prior(name: str, model_with_prior: FaceModel, crops: ImageArray) -> None:
    model, network = model_with_prior, model_with_prior.network
    found = _in_float32(name, model).predict(crops)
    images = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        maps, size = network(images), network.config.input_size
        asked, alone = (decode_face(maps, size, prior=prior).points.numpy() for prior in (model.shape_prior, None))
    assert np.abs(found.points - asked).max() < 0.05
    assert np.abs(alone - asked).max() > 0.5


def test_the_heatmap_of_one_landmark_is_its_own(backend: Backend, model: FaceModel, crops: ImageArray) -> None:
    images = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        maps = model.network(images)
    for landmark in (0, 30, 67):
        prediction = backend.predict(crops, PredictionRequest(heatmaps=True, heatmap_of=landmark))
        assert prediction.heatmaps is not None
        assert np.abs(prediction.heatmaps - collapse_heatmaps(maps[:, [landmark]]).numpy()).max() < 0.01
        for heatmap, point in zip(prediction.heatmaps, prediction.points[:, landmark], strict=True):
            v, u = np.unravel_index(int(heatmap.argmax()), heatmap.shape)
            peak = (np.array([u, v]) + 0.5) * crops.shape[1] / heatmap.shape[0] - 0.5
            assert np.linalg.norm(peak - point) < 6
    assert backend.predict(crops, PredictionRequest(heatmap_of=3)).heatmaps is None


def test_a_face_does_not_depend_on_its_batch(backend: Backend, crops: ImageArray) -> None:
    together = backend.predict(crops)
    assert together.heatmaps is None
    assert together.reconstructions is None
    for i in range(len(crops)):
        alone = backend.predict(crops[i : i + 1])
        assert np.abs(alone.points[0] - together.points[i]).max() < 0.05


def test_results_are_the_callers_own(backend: Backend, crops: ImageArray) -> None:
    first = backend.predict(crops[:1])
    kept = first.points.copy()
    backend.predict(crops[2:3])
    assert np.array_equal(first.points, kept)


@pytest.mark.parametrize("with_prior", [False, True])
def test_bf16_stays_close_to_float32(
    model: FaceModel, model_with_prior: FaceModel, crops: ImageArray, with_prior: bool
) -> None:
    """What is read from heatmaps is float32 there, too: else landmarks would be off by 0.1 px and more on average."""
    needs("openvino", extra="openvino")
    from tracker.backends.openvino import OpenVinoBackend

    model = model_with_prior if with_prior else model
    exact = OpenVinoBackend(model, precision="f32").predict(crops)
    rounded = OpenVinoBackend(model, precision="bf16").predict(crops)
    distance = np.linalg.norm(rounded.points - exact.points, axis=-1)
    assert distance.max() < MAX_DEVIATION
    assert distance.mean() < 0.08
    assert np.abs(rounded.confidence - exact.confidence).max() < 0.1


def test_openvino_does_not_report_to_its_maker(tmp_path: Path) -> None:
    needs("openvino", extra="openvino")
    program = (
        "import sys\n"
        "from models.registry import DEFAULT_MODEL, open_model\n"
        "from tracker.backends.openvino import OpenVinoBackend\n"
        "OpenVinoBackend(open_model(DEFAULT_MODEL))\n"
        "assert 'openvino' in sys.modules\n"
        "sys.exit(any(name.startswith('openvino_telemetry.') for name in sys.modules))\n"
    )
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)}  # nothing compiled is there yet
    finished = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment
    )
    assert finished.returncode == 0, finished.stderr
