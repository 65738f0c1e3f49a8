"""Which backend is chosen, and what is said of the others."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from installed import needs
from typer.testing import CliRunner

from models.errors import FewmarkError
from models.files.model_file import FaceModel
from tracker.backends import BACKENDS, Backend, PassedOver, Rung, choose_backend, self_test, survey
from tracker.backends.eager import EagerBackend
from tracker.backends.engine_cache import engine_directory
from tracker.backends.nvidia import driver_version, why_no_cuda
from tracker.backends.openvino import OpenVinoBackend
from tracker.backends.self_test import MAX_DEVIATION, SelfTest, self_test_crops
from tracker.cli import app
from tracker.files.assets import demo_clip

ON_NVIDIA = ("tensorrt", "tensorrt_rtx", "cuda_graphs")


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without any GPU, whatever this one has."""
    monkeypatch.setattr("tracker.backends.nvidia.driver_version", lambda: None)
    monkeypatch.setattr("tracker.backends.tensorrt_rtx.runtime.driver_version", lambda: None)
    monkeypatch.setattr("tracker.backends.ladder.best_device", lambda: "cpu")
    monkeypatch.setattr("tracker.backends.eager.best_device", lambda: "cpu")


@pytest.fixture
def openvino(no_gpu: None) -> None:
    needs("openvino", extra="openvino")


def damaged(model: FaceModel, by: float) -> FaceModel:
    """A copy with noise on the weights of the landmark head, ``by`` times their own spread."""
    spoiled = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weights in spoiled.network.head.parameters():
            weights.add_(by * weights.std(correction=0) * torch.randn(weights.shape, generator=generator))
    return spoiled


@pytest.mark.usefixtures("openvino")
def test_every_better_backend_is_passed_over_with_its_reason(model: FaceModel) -> None:
    choice = choose_backend("auto", model)
    assert choice.backend.name == "openvino"
    assert [better.backend for better in choice.passed_over] == list(ON_NVIDIA)
    assert choice.passed_over[0] == PassedOver("tensorrt", "no NVIDIA driver")
    assert str(choice.passed_over[2]) == "cuda_graphs: no NVIDIA driver"
    assert not any(better.pending or better.reason.startswith("backend") for better in choice.passed_over)


@pytest.mark.usefixtures("no_gpu")
def test_what_is_missing_is_said_with_what_would_help(model: FaceModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    choice = choose_backend("auto", model)
    assert choice.backend.name == "eager"
    assert [better.backend for better in choice.passed_over] == [*ON_NVIDIA, "openvino"]
    assert choice.passed_over[-1].reason == "not installed; pip install 'fewmark[openvino]'"


def test_a_cpu_build_of_torch_is_blamed_only_where_there_is_a_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    if torch.version.cuda is not None:
        pytest.skip("this torch is a CUDA build")
    monkeypatch.setattr("tracker.backends.nvidia.driver_version", lambda: None)
    assert why_no_cuda() == "no NVIDIA driver"
    monkeypatch.setattr("tracker.backends.nvidia.driver_version", lambda: "13.0")
    assert "torch is the CPU build, and there is an NVIDIA driver (CUDA 13.0)" in why_no_cuda()


def test_the_driver_version_is_one_or_none() -> None:
    version = driver_version()
    assert version is None or [part.isdecimal() for part in version.split(".")] == [True, True]


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("name", ["tensorrt", "tensorrt_rtx", "cuda_graphs"])
def test_forcing_what_does_not_work_here_is_an_error(name: str, model: FaceModel) -> None:
    with pytest.raises(FewmarkError, match=f"^backend {name}: "):
        choose_backend(name, model)


def test_forcing_what_does_not_exist_lists_what_does(model: FaceModel) -> None:
    with pytest.raises(FewmarkError, match="'cuda' is unknown; choose auto or one of tensorrt, "):
        choose_backend("cuda", model)


@pytest.mark.usefixtures("no_gpu")
def test_the_command_ends_with_code_2_when_the_forced_backend_fails(tmp_path: Path) -> None:
    run = CliRunner().invoke(app, ["track", str(demo_clip()), "--backend", "cuda_graphs", "--out", str(tmp_path)])
    assert run.exit_code == 2
    assert "backend cuda_graphs: no NVIDIA driver" in run.stderr


@pytest.mark.usefixtures("openvino")
def test_a_backend_with_damaged_weights_is_refused(model: FaceModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoiled(_: FaceModel, **options: Any) -> Backend:
        return OpenVinoBackend(damaged(model, 0.5), **options)

    monkeypatch.setitem(BACKENDS, "openvino", spoiled)
    choice = choose_backend("auto", model)
    assert choice.backend.name == "eager"
    in_its_own_precision, in_f32 = choice.passed_over[-2:]
    assert in_its_own_precision.backend == in_f32.backend == "openvino"
    assert "it differs from eager by" in in_its_own_precision.reason
    assert in_f32.reason.startswith("differs from eager by ")
    with pytest.raises(FewmarkError, match=r"^backend openvino: differs from eager by"):
        choose_backend("openvino", model)
    (found,) = (rung for rung in survey(model) if rung.backend == "openvino")
    assert found.deviation is not None
    assert found.deviation.largest > MAX_DEVIATION
    assert not found.chosen


def test_the_self_test_sees_damage_and_no_numbers_but_not_rounding(model: FaceModel) -> None:
    test = SelfTest(model)
    exact = test.deviation(EagerBackend(model, "cpu"))
    rounded = test.deviation(EagerBackend(damaged(model, 1e-4), "cpu"))
    spoiled = test.deviation(EagerBackend(damaged(model, 0.5), "cpu"))
    assert exact.largest < 1e-3  # batches of another size are summed in another order
    assert exact.is_small
    assert rounded.is_small
    assert not spoiled.is_small
    without_numbers = test.deviation(EagerBackend(damaged(model, float("nan")), "cpu"))
    assert not without_numbers.is_small


@pytest.mark.usefixtures("empty_cache")
def test_the_self_test_has_eager_answer_once(model: FaceModel, monkeypatch: pytest.MonkeyPatch) -> None:
    backend, other = EagerBackend(model, "cpu"), damaged(model, 1e-4)
    asked: list[FaceModel] = []

    def told(model: FaceModel, device: str) -> EagerBackend:
        asked.append(model)
        return EagerBackend(model, device)

    monkeypatch.setattr(self_test, "EagerBackend", told)
    monkeypatch.setattr(self_test, "code_hash", lambda *parts: "")
    first = SelfTest(model).deviation(backend)
    assert SelfTest(model).deviation(backend) == first
    assert asked == [model]
    SelfTest(other).deviation(backend)
    assert asked == [model, other]  # of other weights it says nothing
    for path in engine_directory().iterdir():
        path.write_bytes(b"damaged")
    assert SelfTest(model).deviation(backend) == first
    assert asked == [model, other, model]


def test_the_self_test_looks_at_different_real_faces(model: FaceModel) -> None:
    crops = self_test_crops(128, model.crop_rule)
    assert crops.shape == (4, 128, 128, 3)
    assert crops.dtype == np.uint8
    assert np.array_equal(crops[1], crops[0][:, ::-1])
    assert np.abs(crops[0].astype(int) - crops[2]).mean() > 10
    confidence = EagerBackend(model, "cpu").predict(crops).confidence
    assert (confidence.mean(axis=1) > 0.7).all()  # faces, well within the crop


@pytest.mark.usefixtures("openvino")
def test_a_broken_library_does_not_stop_the_ladder(model: FaceModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: FaceModel, **_options: Any) -> Backend:
        raise AttributeError("module 'tensorrt' has no attribute 'Runtime'")

    monkeypatch.setitem(BACKENDS, "tensorrt", broken)
    choice = choose_backend("auto", model)
    assert choice.backend.name == "openvino"
    assert choice.passed_over[0] == PassedOver("tensorrt", "module 'tensorrt' has no attribute 'Runtime'")
    with pytest.raises(FewmarkError, match=r"^backend tensorrt: module 'tensorrt' has no attribute"):
        choose_backend("tensorrt", model)


@pytest.mark.usefixtures("openvino")
def test_beside_a_gpu_for_eager_openvino_is_not_taken(model: FaceModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracker.backends.ladder.best_device", lambda: "mps")
    choice = choose_backend("auto", model)
    assert choice.backend.name == "eager"
    assert choice.passed_over[-1] == PassedOver("openvino", "computes on the CPU, and eager has a GPU here (mps)")


@pytest.mark.usefixtures("openvino")
def test_the_survey_tests_all_and_marks_what_is_chosen(model: FaceModel) -> None:
    rungs = list(survey(model))
    assert [rung.backend for rung in rungs] == list(BACKENDS)
    by_name: dict[str, Rung] = {rung.backend: rung for rung in rungs}
    assert [rung.backend for rung in rungs if rung.chosen] == ["openvino"]
    assert by_name["openvino"].deviation is not None
    assert by_name["openvino"].deviation.is_small
    if by_name["openvino"].device.endswith("f32"):
        assert by_name["openvino"].deviation.largest < 0.05
    assert by_name["eager"].device.startswith("CPU")
    assert all(0 < (by_name[name].start_s or 0) < 60 for name in ("openvino", "eager"))
    for name in ON_NVIDIA:
        assert (by_name[name].device, by_name[name].deviation, by_name[name].start_s) == ("", None, None)
        assert "no NVIDIA driver" in by_name[name].reason or "not installed" in by_name[name].reason
