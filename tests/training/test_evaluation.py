from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from models.errors import FewmarkError
from training.confidence_table import confidence_rows
from training.evaluation import Evaluation, evaluate_model, select_samples, write_report


def made_up() -> Evaluation:
    errors = np.full((4, 68), 0.03, np.float32)
    errors[2], errors[3] = 0.12, np.inf
    return Evaluation(
        model="m", crops="detector", backend="eager", subsets=("helen/testset", "lfpw/testset", "ibug", "ibug"),
        errors=errors, confidence=np.ones((4, 68), np.float32), skipped=(),
    )  # fmt: skip


def test_rows_by_subset_group_and_all() -> None:
    rows = {row["subset"]: row for row in made_up().rows()}
    assert list(rows) == ["helen/testset", "lfpw/testset", "ibug", "common", "all"]
    assert rows["common"]["nme_percent"] == pytest.approx(3)
    assert rows["ibug"] == {
        "subset": "ibug", "faces": 2, "missed": 1,
        "nme_percent": 12.0, "failure_rate_percent": 100.0, "auc_percent": 0.0,
    }  # fmt: skip
    assert rows["all"]["failure_rate_percent"] == 50


def test_the_report_holds_figures_and_plot(tmp_path: Path) -> None:
    figures, plot = write_report(made_up(), tmp_path / "report")
    assert json.loads(figures.read_text())["rows"] == made_up().rows()
    assert plot.read_bytes().startswith(b"\x89PNG")
    (tmp_path / "file").write_text("")
    with pytest.raises(FewmarkError, match="can't be written"):
        write_report(made_up(), tmp_path / "file/below")


@pytest.mark.slow
@pytest.mark.parametrize(("crops", "flip"), [("detector", False), ("truth", True)])
def test_the_shipped_model_keeps_its_accuracy(shared_data: Path, crops: str, flip: bool) -> None:
    evaluation = evaluate_model(None, shared_data / "300w", crops=crops, flip=flip)
    figures = evaluation.rows()[-1]
    assert figures["faces"] == 182
    assert figures["missed"] <= 2
    assert float(figures["nme_percent"]) < 3.6


def test_arguments_that_make_no_sense(tmp_path: Path) -> None:
    with pytest.raises(FewmarkError, match="crops 'guess'"):
        evaluate_model(None, tmp_path, crops="guess")
    with pytest.raises(FewmarkError, match="needs --crops truth"):
        evaluate_model(None, tmp_path, flip=True)
    with pytest.raises(FewmarkError, match="subset 'half'"):
        select_samples("300w", tmp_path, "half")
    with pytest.raises(FewmarkError, match="dataset 'imagenet'"):
        select_samples("imagenet", tmp_path, "all")
    with pytest.raises(FewmarkError, match="no 300-W subset"):
        select_samples("300w", tmp_path, "test")


def test_confidence_rows_rise_with_confidence() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0, 1, (50, 68)).astype(np.float32)
    errors = ((1 - confidence) * 0.2).astype(np.float32)
    errors[0, 0] = np.nan
    evaluation = Evaluation("m", "truth", "eager", ("afw",) * 50, errors, confidence, ())
    rows = confidence_rows(evaluation)
    assert len(rows) == 10
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    assert rows[0][1] == 0
    assert rows[-1][1] == 1
    assert rows[-1][2] == pytest.approx(0.01, abs=2e-3)
