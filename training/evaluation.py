"""Measures a model on labelled faces: NME, failure rate, AUC and CED, by subset.

With crops "detector" a face goes the whole way that a user's photo goes: detector, crop, refinement, network. With
crops "truth" the network alone is measured, on the crops that training makes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track as progress_bar
from rich.table import Table

from models.checkpoint import FaceModel
from models.errors import FewmarkError
from models.registry import DEFAULT_MODEL, open_model
from tracker.association import overlaps
from tracker.backends import Backend, Prediction, choose_backend
from tracker.config import TrackerConfig
from tracker.crop import box_around_points, cut_crop, frame_from_crop_matrix, transform_points
from tracker.mirroring import predict_both_ways
from tracker.pipeline import FaceTracker, open_detector
from tracker.types import FloatArray, Frame
from training.datasets import DATASETS, DatasetReport, FaceSample
from training.datasets.w300 import TEST_SUBSETS, TRAIN_SUBSETS, read_w300, split_validation
from training.metrics import area_under_ced, ced_curve, failure_rate, nme_per_face, point_errors

THRESHOLD = 0.1  # of failure rate and AUC, in units of the normaliser
_SUBSETS = ("validation", "test", "train", "all")


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """A model's errors on a set of faces."""

    model: str
    crops: str
    backend: str
    subsets: tuple[str, ...]  # (N,) of each face
    errors: FloatArray  # (N, K) in units of the normaliser; NaN: not labelled; a missed face is inf
    confidence: FloatArray  # (N, K); 0 for a missed face
    skipped: tuple[str, ...]  # samples that could not be read

    def rows(self) -> list[dict[str, float | int | str]]:
        """Figures by subset, the 300-W groups (common, challenging) where their parts are there, and all together."""
        names = np.array(self.subsets)
        groups = {name: names == name for name in dict.fromkeys(self.subsets)}
        for group, members in TEST_SUBSETS.items():
            if len(members) > 1 and all(m in groups for m in members):
                groups[group] = np.isin(names, members)
        if len(groups) > 1:
            groups["all"] = np.ones(len(names), bool)
        return [self._figures(name, chosen) for name, chosen in groups.items()]

    def _figures(self, name: str, chosen: np.ndarray) -> dict[str, float | int | str]:
        nme = nme_per_face(self.errors[chosen])
        found = nme[np.isfinite(nme)]
        return {
            "subset": name,
            "faces": len(nme),
            "missed": int(len(nme) - len(found)),
            "nme_percent": round(100 * float(found.mean()), 3) if len(found) else float("nan"),
            "failure_rate_percent": round(100 * failure_rate(nme, THRESHOLD), 2),
            "auc_percent": round(100 * area_under_ced(nme, THRESHOLD), 2),
        }


def evaluate_model(
    model_name: str | None,
    data: Path,
    *,
    dataset: str = "300w",
    subset: str = "validation",
    crops: str = "detector",
    backend: str = "auto",
    flip: bool = False,
    model_dir: Path | None = None,
    report: Callable[[str], None] | None = None,
) -> Evaluation:
    """Runs a model over a labelled set.

    Args:
        subset: "validation" is what training held out, "test" the published test sets, "train" the rest.
        flip: average with the prediction on the mirrored crop; with crops from the labels only.

    Raises:
        FewmarkError: an argument is unknown, or there is nothing to measure on.
    """
    if crops not in ("detector", "truth"):
        raise FewmarkError(f"crops {crops!r}: choose detector or truth")
    if flip and crops != "truth":
        raise FewmarkError("--flip needs --crops truth: through the pipeline photos are looked at both ways anyway")
    model = open_model(model_name or DEFAULT_MODEL)
    chosen = select_samples(dataset, data, subset)
    samples = [s for s in chosen.samples if s.scheme.num_points == model.scheme.num_points]
    if not samples:
        raise FewmarkError(f"{data}: no {subset} face labelled with the model's {model.scheme.num_points} landmarks")
    runner = choose_backend(backend, model)
    if crops == "truth":
        points, confidence, failed = _on_true_crops(model, runner.backend, samples, flip)
    else:
        config = TrackerConfig(model=model.name)
        detector = open_detector(config.detection, model_dir=model_dir, report=report)
        with FaceTracker(model, runner, detector, config) as tracker:
            points, confidence, failed = _through_the_pipeline(tracker, samples)
    keep = [i for i in range(len(samples)) if i not in failed]
    samples = [samples[i] for i in keep]
    truth = np.stack([s.points for s in samples])
    visible = np.stack([s.visible for s in samples])
    return Evaluation(
        model=model.name,
        crops=crops,
        backend=runner.backend.name,
        subsets=tuple(s.subset for s in samples),
        errors=point_errors(points[keep], truth, visible, model.scheme),
        confidence=confidence[keep],
        skipped=(*chosen.skipped, *failed.values()),
    )


def select_samples(dataset: str, data: Path, subset: str) -> DatasetReport:
    """The samples that a subset's name stands for.

    Raises:
        FewmarkError: the dataset or the subset is unknown, or none of its folders is there.
    """
    if dataset not in DATASETS:
        raise FewmarkError(f"dataset {dataset!r} is unknown; choose one of {', '.join(DATASETS)}")
    if subset not in _SUBSETS:
        raise FewmarkError(f"subset {subset!r} is unknown; choose one of {', '.join(_SUBSETS)}")
    test = tuple(s for members in TEST_SUBSETS.values() for s in members)
    if subset == "test":
        return read_w300(data, test)
    if subset == "all":
        return read_w300(data, (*TRAIN_SUBSETS, *test))
    everything = DATASETS[dataset](data)
    train, validation = split_validation(everything.samples, 0.1)
    return DatasetReport(validation if subset == "validation" else train, everything.skipped)


Located = tuple[FloatArray, FloatArray, dict[int, str]]  # points (N, K, 2), confidence (N, K), index -> why unreadable


def _on_true_crops(model: FaceModel, backend: Backend, samples: Sequence[FaceSample], flip: bool) -> Located:
    points, confidence, failed = _empty(samples)
    size = model.network.config.input_size
    for i, sample in enumerate(progress_bar(samples, description="evaluating", transient=True)):
        try:
            image = sample.load_image()
        except FewmarkError as error:
            failed[i] = str(error)
            continue
        matrix = frame_from_crop_matrix(box_around_points(sample.points, model.scheme), size, model.crop_rule)
        crop = cut_crop(image, matrix, size).image
        predict: Callable[..., Prediction] = backend.predict
        if flip:
            predict = partial(predict_both_ways, backend, scheme=model.scheme)
        prediction = predict(crop[None])
        points[i] = transform_points(prediction.points[0], matrix)
        confidence[i] = prediction.confidence[0]
    return points, confidence, failed


def _through_the_pipeline(tracker: FaceTracker, samples: Sequence[FaceSample]) -> Located:
    points, confidence, failed = _empty(samples)
    for i, sample in enumerate(progress_bar(samples, description="evaluating", transient=True)):
        try:
            image = sample.load_image()
        except FewmarkError as error:
            failed[i] = str(error)
            continue
        faces = tracker.process_still(Frame(image, index=i, time_s=0.0)).faces
        if faces:
            # A photo may show others too: the labelled face is the one that lies on the labels.
            labelled = box_around_points(sample.points, sample.scheme)
            overlap = overlaps([face.box for face in faces], [labelled])[:, 0]
            best = int(overlap.argmax())
            if overlap[best] > 0:
                points[i], confidence[i] = faces[best].points, faces[best].confidence
    return points, confidence, failed


def _empty(samples: Sequence[FaceSample]) -> Located:
    shape = (len(samples), samples[0].scheme.num_points)
    return np.full((*shape, 2), np.inf, np.float32), np.zeros(shape, np.float32), {}


def print_table(evaluation: Evaluation, console: Console) -> None:
    """One row a subset."""
    title = f"{evaluation.model}, {evaluation.backend}, crops from {evaluation.crops}"
    table = Table("subset", "faces", "missed", "NME %", "FR@10 %", "AUC@10 %", title=title)
    for row in evaluation.rows():
        table.add_row(
            str(row["subset"]),
            str(row["faces"]),
            str(row["missed"]),
            f"{row['nme_percent']:.2f}",
            f"{row['failure_rate_percent']:.2f}",
            f"{row['auc_percent']:.2f}",
        )
    console.print(table)
    console.print("NME: by the outer eye corners, mean over the faces found. A missed face counts as a failure.")


def write_report(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Writes ``evaluation.json`` and ``ced.png`` into a folder and returns their paths."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        figures = folder / "evaluation.json"
        header = {"model": evaluation.model, "crops": evaluation.crops, "backend": evaluation.backend}
        content = {**header, "normaliser": "outer eye corners", "rows": evaluation.rows()}
        figures.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        plot = folder / "ced.png"
        plot_ced({evaluation.model: evaluation}, plot)
    except OSError as error:
        raise FewmarkError(f"{folder}: can't be written to ({error.strerror}); choose another --out") from error
    return [figures, plot]


def plot_ced(evaluations: dict[str, Evaluation], path: Path) -> None:
    """Cumulative error distributions as a PNG, one line a name and subset."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4.5), dpi=120, layout="constrained")
    axes = figure.subplots()
    for name, evaluation in evaluations.items():
        names = np.array(evaluation.subsets)
        for subset in (*dict.fromkeys(evaluation.subsets), "all"):
            chosen = names == subset if subset != "all" else np.ones(len(names), bool)
            x, y = ced_curve(nme_per_face(evaluation.errors[chosen]), THRESHOLD)
            axes.plot(100 * x, 100 * y, label=f"{name}: {subset}", linewidth=2.5 if subset == "all" else 1.2)
    axes.set(xlabel="NME by outer eye corners, %", ylabel="faces, %", xlim=(0, 100 * THRESHOLD), ylim=(0, 100))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize="small")
    figure.savefig(path)
