"""OpenVINO's compiled models in the cache: a second start reads them; what is wrong with them is made anew."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from installed import needs

from models.errors import FewmarkError
from models.files.model_file import FaceModel
from tracker.backends import engine_cache, openvino
from tracker.backends.base import PredictionRequest
from tracker.backends.engine_cache import drop_oldest, engine_directory, load_engine, store_engine, weights_hash
from tracker.backends.openvino import OpenVinoBackend
from tracker.types import ImageArray

pytestmark = pytest.mark.usefixtures("installed", "empty_cache")


@pytest.fixture(scope="module")
def installed() -> None:
    needs("openvino", extra="openvino")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A line for every graph that is traced."""
    calls: list[str] = []
    real = openvino._convert

    def traced(*args: Any, **kwargs: Any) -> Any:
        calls.append("traced")
        return real(*args, **kwargs)

    monkeypatch.setattr(openvino, "_convert", traced)
    return calls


def test_a_second_start_computes_the_same_without_tracing(model: FaceModel, crops: ImageArray, made: list[str]) -> None:
    request = PredictionRequest(heatmaps=True, reconstructions=True, heatmap_of=30)
    first = OpenVinoBackend(model).predict(crops, request)
    assert len(made) == 3  # the network, what is read from its heatmaps, and the network with the reconstruction
    second = OpenVinoBackend(model).predict(crops, request)
    assert len(made) == 3
    assert len(list(engine_directory().iterdir())) == 3
    for name in ("points", "confidence", "heatmaps", "reconstructions"):
        a, b = getattr(first, name), getattr(second, name)
        assert a is not None
        assert b is not None
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("damage", ["cut off", "of something else"])
def test_what_can_not_be_read_is_made_again(
    model: FaceModel, crops: ImageArray, made: list[str], monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    keys: list[Any] = []

    def remember(key: Any) -> bytes | None:
        keys.append(key)
        return load_engine(key)

    monkeypatch.setattr(openvino, "load_engine", remember)
    expected = OpenVinoBackend(model).predict(crops).points
    path = max(engine_directory().iterdir(), key=lambda path: path.stat().st_size)  # the network
    whole = path.stat().st_size
    if damage == "cut off":
        os.truncate(path, whole // 2)
    else:
        store_engine(keys[0], b"no compiled model at all" * 100)
    np.testing.assert_array_equal(OpenVinoBackend(model).predict(crops).points, expected)
    assert len(made) == 3
    assert path.stat().st_size == pytest.approx(whole, rel=0.01)  # a few bytes differ from time to time


def test_it_runs_without_a_cache(model: FaceModel, crops: ImageArray) -> None:
    engine_directory().parent.mkdir(parents=True)
    engine_directory().write_text("a file where the directory should be")
    with pytest.raises(FewmarkError, match="can't be written"):
        store_engine({"backend": "test"}, b"engine")
    assert OpenVinoBackend(model).predict(crops).points.shape == (4, 68, 2)


def test_it_runs_where_a_compiled_model_can_not_be_kept(
    model: FaceModel, crops: ImageArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> Path:
        raise RuntimeError("the plugin does not export compiled models")

    monkeypatch.setattr(openvino, "store_engine", refuse)
    assert OpenVinoBackend(model).predict(crops).points.shape == (4, 68, 2)


def test_other_code_makes_another_engine(model: FaceModel, monkeypatch: pytest.MonkeyPatch) -> None:
    before = weights_hash(model)
    monkeypatch.setattr(engine_cache.inspect, "getsource", lambda part: "changed")
    assert weights_hash(model) != before

    def packed_without(part: object) -> str:
        raise OSError("could not get source code")

    monkeypatch.setattr(engine_cache.inspect, "getsource", packed_without)
    assert weights_hash(model) != before


def test_another_prior_makes_another_engine(model: FaceModel, model_with_prior: FaceModel) -> None:
    assert weights_hash(model_with_prior) != weights_hash(model)


def test_engines_that_were_not_used_for_long_go_first() -> None:
    keys = [{"backend": "test", "number": str(number)} for number in range(5)]
    for age, key in enumerate(keys):
        os.utime(store_engine(key, b"engine"), (1000.0 - age, 1000.0 - age))
    store_engine({"backend": "testing"}, b"of another backend")
    assert load_engine(keys[4]) is not None  # the oldest, but used now
    drop_oldest("test", keep=2)
    assert [load_engine(key) is not None for key in keys] == [True, False, False, False, True]
    assert load_engine({"backend": "testing"}) is not None
