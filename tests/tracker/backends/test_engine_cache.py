"""Engines in the cache, and the process that builds them. No GPU: what is stored here is not one's engine."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from models.errors import FewmarkError
from models.files.model_file import FaceModel
from models.registry import open_model
from tracker.backends.engine_build import EngineNotBuilt, is_being_built, log_path, start_build
from tracker.backends.engine_cache import engine_directory, engine_path, load_engine, store_engine, weights_hash
from tracker.backends.tensorrt import engine_key

pytestmark = pytest.mark.usefixtures("empty_cache")

KEY = {"backend": "test", "gpu": "none", "weights": "0"}
ENGINE = bytes(range(256)) * 40


def test_an_engine_comes_back_as_it_was_stored() -> None:
    assert load_engine(KEY) is None
    path = store_engine(KEY, ENGINE)
    assert path == engine_path(KEY)
    assert load_engine(KEY) == ENGINE
    store_engine(KEY, ENGINE[:100])
    assert load_engine(KEY) == ENGINE[:100]
    assert [file.name for file in engine_directory().iterdir()] == [path.name]


@pytest.mark.parametrize("field", list(KEY))
def test_whatever_changes_in_the_key_makes_it_another_engine(field: str) -> None:
    store_engine(KEY, ENGINE)
    assert load_engine({**KEY, field: "other"}) is None


def test_a_damaged_file_counts_as_none() -> None:
    path = store_engine(KEY, ENGINE)
    whole = path.read_bytes()
    spoiled = bytearray(whole)
    spoiled[-100] ^= 1
    for contents in (whole[:-100], bytes(spoiled), b"", b"no engine at all"):
        path.write_bytes(contents)
        assert load_engine(KEY) is None
    path.write_bytes(whole)
    assert load_engine(KEY) == ENGINE
    path.rename(engine_path({**KEY, "gpu": "another"}))  # under the name of another
    assert load_engine({**KEY, "gpu": "another"}) is None


def test_the_key_of_tensorrt_names_everything_that_invalidates(model: FaceModel) -> None:
    key = engine_key(model, "NVIDIA H100 9.0 132")
    assert key["weights"] == weights_hash(model)
    assert key["torch"] == torch.__version__
    assert {"gpu", "driver", "torch-tensorrt", "tensorrt", "precision", "batch"} <= key.keys()
    assert engine_path(key) != engine_path(engine_key(model, "NVIDIA L4 8.9 58"))
    assert engine_path(key).name.startswith("tensorrt-")


def test_every_weight_counts() -> None:
    model = open_model("fast128")
    before = weights_hash(model)
    assert weights_hash(open_model("fast128")) == before
    with torch.no_grad():
        next(model.network.head.parameters()).flatten()[0] += 1e-3
    assert weights_hash(model) != before


def test_an_unwritable_cache_is_said(tmp_path: Path) -> None:
    engine_directory().parent.mkdir(parents=True)
    engine_directory().write_text("a file where the directory should be")
    with pytest.raises(FewmarkError, match="can't be written"):
        store_engine(KEY, ENGINE)


def test_an_engine_that_is_being_built_is_no_reason_to_build_it() -> None:
    assert not is_being_built(KEY)
    assert "is not built yet; `fewmark build-engine` does so" in str(EngineNotBuilt(KEY))
    engine_directory().mkdir(parents=True)
    with FileLock(engine_path(KEY).with_suffix(".lock")):  # as the process that builds it does
        assert is_being_built(KEY)
        assert str(EngineNotBuilt(KEY)) == "backend test: its engine is being built right now"
    assert not is_being_built(KEY)


@pytest.mark.slow
def test_a_build_runs_in_a_process_of_its_own_and_ends_in_the_cache(model: FaceModel) -> None:
    told: list[str] = []
    build = start_build(pickle.dumps, model, KEY)  # a function from a model to bytes, as a compiler is
    assert start_build(pickle.dumps, model, KEY) is build
    build.wait(told.append)
    build.wait()  # whoever waits afterwards hears the same
    assert re.fullmatch(r"its engine is being built \(\d+:\d\d\)", told[0])
    engine = load_engine(KEY)
    assert engine is not None
    assert weights_hash(pickle.loads(engine)) == weights_hash(model)
    assert not build.is_running


@pytest.mark.slow
def test_a_failed_build_says_why_and_leaves_nothing(model: FaceModel) -> None:
    build = start_build(weights_hash, model, KEY)  # type: ignore[arg-type]  # gives text, which is no engine
    with pytest.raises(FewmarkError, match=r"^backend test: its engine can't be built: Strings must be encoded"):
        build.wait()
    assert "Traceback" in log_path().read_text(encoding="utf-8")
    assert load_engine(KEY) is None
    again = start_build(weights_hash, model, KEY)  # type: ignore[arg-type]
    assert again is not build
    again.cancel()
    with pytest.raises(FewmarkError, match="its compiler ended with exit code"):
        again.wait()
    assert not is_being_built(KEY)
