"""Exported files: what they compute, what they say of themselves, and what happens when they are wrong."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from installed import needs
from typer.testing import CliRunner

from models.errors import FewmarkError
from models.files.model_file import FaceModel
from models.registry import open_model
from tracker.backends import PredictionRequest
from tracker.backends.eager import EagerBackend
from tracker.backends.self_test import self_test_crops
from tracker.cli import app
from tracker.export import ExportReport, export_metadata, export_model
from tracker.export.onnx_file import run_onnx
from tracker.export.openvino_file import run_openvino
from tracker.files.assets import demo_clip
from tracker.sources import open_source
from tracker.types import ImageArray

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "export.md"
BOX = (461, 248, 715, 501)  # of the face in the demo clip's first frame, as in the document


@pytest.fixture(scope="module")
def onnx_export(model: FaceModel, tmp_path_factory: pytest.TempPathFactory) -> ExportReport:
    """With everything that can be asked for."""
    needs("onnx", "onnxscript", "onnxruntime", extra="export")
    path = tmp_path_factory.mktemp("export") / "fast128.onnx"
    return export_model(model, path, "onnx", heatmaps=True, reconstruct=True)


@pytest.mark.slow
def test_an_onnx_file_computes_what_eager_does(onnx_export: ExportReport, model: FaceModel) -> None:
    crops = self_test_crops(128, model.crop_rule)
    batches = [crops, crops[:1], np.concatenate([crops, crops, crops])]
    assert onnx_export.point_deviation <= 1e-3
    for crops_in, found in zip(batches, run_onnx(onnx_export.paths[0], batches), strict=True):
        wanted = EagerBackend(model, "cpu").predict(crops_in, PredictionRequest(heatmaps=True, reconstructions=True))
        assert set(found) == {"points", "confidence", "heatmaps", "reconstructions"}
        assert np.abs(found["points"] - wanted.points).max() < 1e-3
        assert np.abs(found["confidence"] - model.calibrated(wanted.confidence)).max() < 1e-4
        assert found["reconstructions"].dtype == np.uint8
        assert wanted.reconstructions is not None
        difference = found["reconstructions"].astype(int) - wanted.reconstructions.astype(int)
        assert np.abs(difference).max() <= 1


@pytest.mark.slow
def test_the_models_prior_goes_into_the_file(model_with_prior: FaceModel, crops: ImageArray, tmp_path: Path) -> None:
    needs("onnx", "onnxscript", "onnxruntime", extra="export")
    report = export_model(model_with_prior, tmp_path / "prior.onnx", "onnx")
    (found,) = run_onnx(report.paths[0], [crops])
    assert np.abs(found["points"] - EagerBackend(model_with_prior, "cpu").predict(crops).points).max() < 1e-2


@pytest.mark.slow
def test_an_onnx_file_says_what_it_is(onnx_export: ExportReport, model: FaceModel) -> None:
    import onnx

    proto = onnx.load(onnx_export.paths[0])
    onnx.checker.check_model(proto, full_check=True)
    said = {entry.key: entry.value for entry in proto.metadata_props}
    assert said == export_metadata(model)
    assert json.loads(said["scheme"])["point_names"] == list(model.scheme.point_names)
    assert json.loads(said["crop_rule"])["margin"] == model.crop_rule.margin
    assert model.confidence_meaning in said["confidence"]
    (crops,) = proto.graph.input
    assert [d.dim_param or d.dim_value for d in crops.type.tensor_type.shape.dim] == ["batch", 128, 128, 3]
    # The exporter's notes would tell where on this machine the project lies.
    assert str(DOCUMENT.parent.parent).encode() not in onnx_export.paths[0].read_bytes()


@pytest.mark.slow
def test_the_documents_example_runs_without_this_project(tmp_path: Path) -> None:
    needs("onnx", "onnxscript", "onnxruntime", extra="export")
    (example,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert len([line for line in example.splitlines() if line.strip()]) <= 20
    run = CliRunner().invoke(app, ["export", "fast128", "--out", str(tmp_path / "fast128.onnx")])
    assert run.exit_code == 0, run.output
    assert run.stdout.split() == [str(tmp_path / "fast128.onnx")]
    with open_source(demo_clip()) as source:
        image = next(iter(source)).image
    cv2.imwrite(str(tmp_path / "face.png"), image[:, :, ::-1])
    program = example + "\nimport sys\nassert not {'models', 'tracker', 'torch'} & sys.modules.keys()\n"
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    model = open_model("fast128")
    assert [row[0] for row in rows] == list(model.scheme.point_names)
    left, top, right, bottom = BOX
    assert f"{left}, {top}, {right}, {bottom}" in example
    points = np.array([row[1:3] for row in rows], float)
    side = max(right - left, bottom - top) * model.crop_rule.margin
    x, y = (left + right - side) / 2, (top + bottom - side) / 2
    to_crop = np.array([[128 / side, 0, -x * 128 / side], [0, 128 / side, -y * 128 / side]])
    to_crop[:, 2] += 64 / side - 0.5
    crop = cv2.warpAffine(image, to_crop, (128, 128), flags=cv2.INTER_AREA)
    wanted = (
        (model.as_labelled(EagerBackend(model, "cpu").predict(crop[None]).points[0]) + 0.5) * side / 128 - 0.5 + (x, y)
    )
    # Pillow averages where it makes smaller, warpAffine does not: some tenths of a pixel of a 250 px face.
    assert np.abs(points - wanted).mean() < 0.01 * side
    assert points.min(axis=0) == pytest.approx((left, top), abs=12)
    assert points.max(axis=0) == pytest.approx((right, bottom), abs=12)


@pytest.mark.slow
def test_an_openvino_file_computes_what_eager_does(tmp_path: Path) -> None:
    needs("openvino", extra="openvino")
    model = open_model("fast128")
    report = export_model(model, tmp_path / "fast128.xml", "openvino")
    assert [path.name for path in report.paths] == ["fast128.xml", "fast128.bin"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fast128.bin", "fast128.xml"]
    crops = self_test_crops(128, model.crop_rule)
    (found,) = run_openvino(report.paths[0], [crops[:3]])
    wanted = EagerBackend(model, "cpu").predict(crops[:3])
    assert np.abs(found["points"] - wanted.points).max() < 1e-3
    assert np.abs(found["confidence"] - model.calibrated(wanted.confidence)).max() < 1e-4
    import openvino

    written = openvino.Core().read_model(report.paths[0])
    assert [name for end in written.inputs for name in end.get_names()] == ["crops"]
    for key, value in export_metadata(model).items():
        assert written.get_rt_info(["fewmark", key]).astype(str) == value


@pytest.mark.slow
def test_a_file_that_fails_its_check_is_not_kept(
    model: FaceModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs("openvino", extra="openvino")
    (tmp_path / "old.xml").write_text("what was there before")
    monkeypatch.setattr("tracker.export.export.MAX_POINT_DEVIATION", -1.0)
    with pytest.raises(FewmarkError, match=r"old\.xml: in OpenVINO, points differ by .* from eager"):
        export_model(model, tmp_path / "old.xml", "openvino")
    assert [path.name for path in tmp_path.iterdir()] == ["old.xml"]
    assert (tmp_path / "old.xml").read_text() == "what was there before"


@pytest.mark.parametrize("missing", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_extra_is_named(
    missing: str, model: FaceModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if missing != "onnxruntime":
        needs("onnxruntime", extra="export")
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(FewmarkError, match=r"not installed; pip install 'fewmark\[export\]'"):
        export_model(model, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_exported_is_refused_at_once(tmp_path: Path) -> None:
    model = open_model("fast128")
    for arguments, message in (
        (["export", "fast128", "--format", "tflite"], "choose one of onnx, openvino"),
        (["export", "fast128", "--out", str(tmp_path / "a.pt")], "files of format onnx end in .onnx"),
        (["build-engine", "fast128", "--backend", "eager"], "choose tensorrt_rtx or tensorrt"),
        (["build-engine", "fast128", "--precision", "int3"], "choose one of fp16, fp32"),
        (["build-engine", "fast128", "--precision", "fp32"], "--out"),
    ):
        run = CliRunner().invoke(app, arguments)
        assert run.exit_code == 2
        assert message in run.output
    model.reconstructs, model.carries = False, None
    with pytest.raises(FewmarkError, match="not trained to reconstruct"):
        export_model(model, tmp_path / "a.onnx", reconstruct=True)
    assert list(tmp_path.iterdir()) == []
