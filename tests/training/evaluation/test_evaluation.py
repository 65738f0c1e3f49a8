from __future__ import annotations

import io
import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from rich.console import Console

from models.errors import FewmarkError
from models.landmark_schemes import get_scheme
from training.evaluation import (
    Entry,
    Evaluation,
    evaluate_model,
    load_evaluation,
    print_comparison,
    print_evaluation,
    render_page,
    unique_names,
    work_out,
    write_report,
    write_reports,
)
from training.evaluation.mean_face import mean_face
from training.evaluation.result import EvaluatedFaces

SUBSETS = ("helen/testset", "lfpw/testset", "ibug", "ibug")
GROUPS = (("common", "full"), ("common", "full"), ("challenging", "full"), ("challenging", "full"))


def upright_face() -> np.ndarray:
    """(68, 2) within 20..180 px, outer eye corners 100 px apart."""
    points = np.random.default_rng(0).uniform(20, 180, (68, 2)).astype(np.float32)
    points[36:42], points[42:48] = (80, 80), (120, 80)
    points[36], points[45] = (50, 80), (150, 80)
    return points


def made_up(groups: tuple[tuple[str, ...], ...] = GROUPS) -> Evaluation:
    """Four faces: 3 % off, 3 % off, 12 % off, not found."""
    points = np.repeat(upright_face()[None], 4, axis=0)
    shift = np.array([3, 3, 12, np.inf], np.float32)[:, None]
    predicted = points.copy()
    predicted[..., 0] += shift
    predicted[3] = np.inf
    confidence = np.repeat(np.array([0.9, 0.8, 0.4, 0.0], np.float32)[:, None], 68, axis=1)
    return Evaluation(
        model="m",
        dataset="300w",
        subset="test",
        crops="detector",
        backend="eager",
        scheme=get_scheme("300w-68"),
        normaliser="outer-eyes",
        faces=EvaluatedFaces(
            images=("a.png", "b.png", "c.png", "d.png"),
            photos=("a", "b", "c", "d"),
            subsets=SUBSETS,
            groups=groups,
            points=points,
            visible=np.ones((4, 68), bool),
            boxes=np.full((4, 4), np.nan, np.float32),
        ),
        predicted=predicted,
        confidence=confidence,
        confidence_meaning="probability of an error below 5 % (normaliser: outer-eyes)",
        skipped=("e.png: not a readable image",),
        background=np.array([0.2, 0.3, 0.4], np.float32),
    )


def test_rows_by_subset_and_published_group() -> None:
    rows = {row.subset: row for row in work_out(made_up()).subsets}
    # "challenging" is ibug alone, and "full" is all: the published name stays.
    assert list(rows) == ["helen/testset", "lfpw/testset", "common", "full", "challenging"]
    assert rows["common"].nme_percent == pytest.approx(3, rel=1e-4)
    challenging = rows["challenging"]
    assert (challenging.faces, challenging.missed, challenging.failure_rate_percent) == (2, 1, 100)
    assert challenging.nme_percent == pytest.approx(12, rel=1e-4)
    assert challenging.auc_percent == 0
    assert rows["full"].failure_rate_percent == 50
    assert rows["full"].auc_percent == pytest.approx(35, abs=0.01)


def test_all_stands_where_no_group_holds_every_face() -> None:
    rows = work_out(made_up(groups=((), (), (), ()))).subsets
    assert [row.subset for row in rows] == ["helen/testset", "lfpw/testset", "ibug", "all"]
    assert rows[-1] == replace(work_out(made_up()).overall)


def test_threshold_and_normaliser_are_free() -> None:
    strict = work_out(made_up(), threshold=0.02).overall
    assert strict.failure_rate_percent == 100
    assert strict.auc_percent == 0
    wide = work_out(made_up(), normaliser="face-size")
    face_size = np.ptp(upright_face(), axis=0).mean()
    assert wide.subsets[0].nme_percent == pytest.approx(100 * 3 / face_size, rel=1e-4)
    assert wide.calibration_error == work_out(made_up()).calibration_error  # confidence is about the usual normaliser


def test_parts_landmarks_confidence_and_the_worst() -> None:
    figures = work_out(made_up())
    assert [part.part for part in figures.parts] == ["jaw", "brows", "nose", "eyes", "mouth"]
    assert sum(part.landmarks for part in figures.parts) == 68
    assert figures.parts[0].error_percent == pytest.approx(6, rel=1e-4)  # the missed face counts elsewhere
    assert figures.parts[0].within_percent == pytest.approx(200 / 3)
    np.testing.assert_allclose(figures.landmark_error_percent, 6, rtol=1e-4)
    assert figures.confidence[0].confidence == pytest.approx(0.4)
    assert figures.confidence[0].within_percent == 0
    assert figures.confidence[-1].within_percent == 100
    assert figures.calibration_error == pytest.approx((0.1 + 0.2 + 0.4) / 3, abs=1e-6)
    assert [row.image for row in figures.worst] == ["d.png", "c.png", "a.png", "b.png"]
    assert np.isinf(figures.worst[0].nme_percent)
    assert figures.background is not None
    assert (figures.background.squares, figures.background.largest) == (3, pytest.approx(0.4))


def test_a_face_that_can_not_be_normalised_is_in_no_figure() -> None:
    evaluation = made_up()
    evaluation.faces.visible[2, 36] = False
    figures = work_out(evaluation)
    assert figures.unmeasured == 1
    assert figures.overall.faces == 3
    assert "c.png" not in [row.image for row in figures.worst]


def test_nothing_found_gives_figures_without_numbers(tmp_path: Path) -> None:
    evaluation = made_up()
    evaluation.predicted[:] = np.inf
    figures = work_out(evaluation)
    assert figures.overall.missed == 4
    assert figures.to_dict()["overall"]["nme_percent"] is None
    assert figures.parts == ()
    write_report([Entry("m", evaluation, figures)], tmp_path, tmp_path)
    assert "not found" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_mean_face_and_where_predictions_go() -> None:
    evaluation = made_up()
    face = mean_face(evaluation)
    assert np.isfinite(face.points).all()
    assert np.ptp(face.points, axis=0).max() == pytest.approx(1, abs=1e-6)
    # The offsets, 3, 3 and 12 px to the right, scatter along x alone.
    assert (face.covariance[:, 0, 0] > 0).all()
    np.testing.assert_allclose(face.covariance[:, 1, 1], 0, atol=1e-9)
    evaluation.faces.visible[:, 5] = False
    assert np.isnan(mean_face(evaluation).points[5]).all()


def test_saved_and_loaded_again(tmp_path: Path) -> None:
    evaluation = made_up()
    evaluation.save(tmp_path / "evaluation.npz")
    again = load_evaluation(tmp_path)
    assert work_out(again).to_dict() == work_out(evaluation).to_dict()
    assert again.faces.images == evaluation.faces.images
    assert again.skipped == evaluation.skipped
    without = replace(evaluation, background=None)
    without.save(tmp_path / "evaluation.npz")
    assert load_evaluation(tmp_path).background is None


def test_what_is_no_evaluation_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FewmarkError, match="no earlier evaluation here"):
        load_evaluation(tmp_path)
    (tmp_path / "evaluation.npz").write_bytes(b"PK no archive")
    with pytest.raises(FewmarkError, match="not a readable evaluation"):
        load_evaluation(tmp_path)
    np.savez(tmp_path / "evaluation.npz", header=np.array('{"format": "other"}'))
    with pytest.raises(FewmarkError, match="not an evaluation that this version can read"):
        load_evaluation(tmp_path)


class Outside(HTMLParser):
    """Collects what a page would have to fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.images = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.images += tag == "img"
        wanted = {"img": "src", "script": "src", "link": "href", "iframe": "src", "image": "xlink:href"}
        for name, value in attrs:
            if name == wanted.get(tag) and value and not value.startswith(("data:", "#")):
                self.fetched.append(value)


def test_the_report_is_one_page_that_needs_nothing_else(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for name in ("a.png", "b.png", "c.png"):  # d.png is gone since
        cv2.imwrite(str(data / name), np.full((200, 200, 3), 90, np.uint8))
    evaluation = replace(made_up(), model="<b>m</b>")
    entries = [Entry("<b>m</b>", evaluation, work_out(evaluation))]
    figures, points, plot, page = write_report(entries, tmp_path / "report", data)
    assert json.loads(figures.read_text(encoding="utf-8"))["overall"]["faces"] == 4
    assert points.name == "evaluation.npz"
    assert plot.read_bytes().startswith(b"\x89PNG")
    text = page.read_text(encoding="utf-8")
    parser = Outside()
    parser.feed(text)
    assert parser.fetched == []
    assert parser.images == 3
    assert text.count("<svg") == 3
    assert "&lt;b&gt;m&lt;/b&gt;" in text
    assert "<b>m</b>" not in text
    assert "e.png: not a readable image" in text


def test_several_models_get_a_report_each_beside_the_others(tmp_path: Path) -> None:
    better = made_up()
    better.predicted[:] = better.faces.points + 1
    names = unique_names(["m", "m", "../x"])
    assert names == ["m", "m 2", "../x"]
    entries = [Entry(n, e, work_out(e)) for n, e in zip(names, (made_up(), better, made_up()), strict=True)]
    paths = write_reports(entries, 2, tmp_path, tmp_path)
    assert {path.parent.relative_to(tmp_path).as_posix() for path in paths} == {"m", "m 2"}
    first, second = (json.loads((tmp_path / name / "evaluation.json").read_text()) for name in ("m", "m 2"))
    assert [other["name"] for other in first["compared"]] == ["m 2", "../x"]
    assert second["overall"]["missed"] == 0
    assert ">Compared<" in (tmp_path / "m" / "report.html").read_text(encoding="utf-8")


def test_a_folder_that_can_not_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FewmarkError, match="can't be written"):
        write_report([Entry("m", made_up(), work_out(made_up()))], tmp_path / "file/below", tmp_path)


def test_the_tables_hold_the_figures() -> None:
    console = Console(width=120, record=True, file=io.StringIO())
    entry = Entry("m", made_up(), work_out(made_up()))
    other = replace(
        entry, name="other", evaluation=replace(made_up(), faces=replace(made_up().faces, images=("x",) * 4))
    )
    print_evaluation(entry, console)
    print_comparison([entry, other], console)
    text = console.export_text()
    for figure in ("common", "challenging", "6.00", "50.00", "66.7 %", "95th percentile", "worst: d.png, not found"):
        assert figure in text
    assert "other was measured on other faces than m." in text


def test_a_calibration_that_has_seen_the_faces_says_so(tmp_path: Path) -> None:
    evaluation = replace(made_up(), calibrated_on="300w test", cross_validated_error=0.0123)
    evaluation.save(tmp_path / "evaluation.npz")
    evaluation = load_evaluation(tmp_path)
    entry = Entry("m", evaluation, work_out(evaluation))
    console = Console(width=200, record=True, file=io.StringIO())
    print_evaluation(entry, console)
    assert "on the faces that calibrated it, 0.012 on unseen ones" in console.export_text()
    assert "the very faces that it was fitted to" in render_page([entry], tmp_path)
    assert "very faces" not in render_page([replace(entry, evaluation=replace(evaluation, subset="train"))], tmp_path)


def test_arguments_that_make_no_sense(tmp_path: Path) -> None:
    with pytest.raises(FewmarkError, match="crops 'guess'"):
        evaluate_model(None, tmp_path, crops="guess")
    with pytest.raises(FewmarkError, match="needs --crops truth"):
        evaluate_model(None, tmp_path, flip=True)
    with pytest.raises(FewmarkError, match="subset 'half'"):
        evaluate_model(None, tmp_path, subset="half")
    with pytest.raises(FewmarkError, match="dataset 'imagenet'"):
        evaluate_model(None, tmp_path, dataset="imagenet")


@pytest.mark.slow
@pytest.mark.parametrize(("crops", "flip"), [("detector", False), ("truth", True)])
def test_the_shipped_model_keeps_its_accuracy(shared_data: Path, crops: str, flip: bool) -> None:
    figures = work_out(evaluate_model(None, shared_data / "300w", crops=crops, flip=flip))
    assert figures.overall.faces == 182
    assert figures.overall.missed <= 2
    assert figures.overall.nme_percent < 3.6
