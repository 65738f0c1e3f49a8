"""Runs a model over labelled faces.

With crops "detector" a face goes the whole way that a user's photo goes: detector, crop, refinement, network. With
crops "truth" the network alone is measured, on the crops that training makes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from rich.console import Console
from rich.progress import track as progress_bar

from models.errors import FewmarkError
from models.files.model_file import FaceModel
from models.registry import DEFAULT_MODEL, open_model
from tracker.backends import Backend, choose_backend
from tracker.config import TrackerConfig
from tracker.detectors import FaceDetector
from tracker.following.association import overlaps
from tracker.following.mirroring import predict_both_ways
from tracker.following.pipeline import FaceTracker, open_detector
from tracker.geometry.crop import box_around_points, cut_crop, frame_from_crop_matrix, transform_points
from tracker.types import FloatArray, Frame, ImageArray
from training.config import DataConfig
from training.datasets import Dataset, FaceSample, get_dataset, select_samples
from training.datasets.base import in_order_of
from training.evaluation.background import background_confidences
from training.evaluation.normalisers import default_normaliser
from training.evaluation.result import EvaluatedFaces, Evaluation

_Item = TypeVar("_Item")
Locate = Callable[[ImageArray, FaceSample], tuple[FloatArray, FloatArray] | None]  # points (K, 2), confidence (K,)


def evaluate_model(
    model: FaceModel | str | None,
    data: Path,
    *,
    dataset: str = "300w",
    subset: str = "validation",
    crops: str = "detector",
    backend: str = "auto",
    flip: bool = False,
    squares: int = 0,
    model_dir: Path | None = None,
    report: Callable[[str], None] | None = None,
) -> Evaluation:
    """Runs a model over a labelled set.

    Args:
        model: a model, a shipped model's name or a model file; None is the default model.
        subset: "validation" is what training held out, "train" the rest, "test" the published test set; "all", or one
            of the data set's published test subsets.
        flip: average with the prediction on the mirrored crop; with crops from the labels only.
        squares: also run the network on up to so many squares of the photos that show no face.

    Raises:
        FewmarkError: an argument is unknown, or there is nothing to measure on.
    """
    if crops not in ("detector", "truth"):
        raise FewmarkError(f"crops {crops!r}: choose detector or truth")
    if flip and crops != "truth":
        raise FewmarkError("--flip needs --crops truth: through the pipeline photos are looked at both ways anyway")
    face_model = model if isinstance(model, FaceModel) else open_model(model or DEFAULT_MODEL)
    found = select_samples(dataset, data, subset, _held_out_share(face_model))
    samples = _labelled_as(face_model, found.samples)

    runner = choose_backend(backend, face_model)
    config = TrackerConfig()
    detector = open_detector(config.detection, model_dir=model_dir, report=report)
    # The tracker owns backend and detector: it closes them, and measuring may use them until then.
    with FaceTracker(face_model, runner, detector, config) as tracker:
        if crops == "truth":
            locate: Locate = partial(_on_true_crop, face_model, runner.backend, flip)
        else:
            locate = partial(_through_the_pipeline, tracker)
        located, failed = _locate_all(samples, locate, face_model.scheme.num_points)
        background = _on_background(face_model, runner.backend, detector, found.samples, squares) if squares else None
    kept = [i for i in range(len(samples)) if i not in failed]
    points, confidence = located[0][kept], located[1][kept]
    calibration = face_model.calibration
    return Evaluation(
        model=face_model.name,
        dataset=dataset,
        subset=subset,
        crops=crops,
        backend=runner.backend.name,
        scheme=samples[0].scheme,
        normaliser=get_dataset(dataset).normaliser or default_normaliser(samples[0].scheme),
        faces=_describe([samples[i] for i in kept], data, get_dataset(dataset)),
        predicted=points,
        confidence=confidence,
        confidence_meaning=face_model.confidence_meaning,
        calibrated_on=str(calibration.fitted_on.get("data", "")) if calibration else "",
        cross_validated_error=calibration.fitted_on.get("calibration_error") if calibration else None,
        skipped=(*found.skipped, *failed.values()),
        background=background,
    )


def _labelled_as(model: FaceModel, samples: Sequence[FaceSample]) -> Sequence[FaceSample]:
    """The samples with their landmarks in the order of the model's.

    Raises:
        FewmarkError: they are others.
    """
    if samples[0].scheme.point_names == model.scheme.point_names:
        return samples
    try:
        return [in_order_of(model.scheme, sample) for sample in samples]
    except FewmarkError as error:
        raise FewmarkError(f"model {model.name} can't be measured on these labels: {error}") from error


def _locate_all(
    samples: Sequence[FaceSample], locate: Locate, num_points: int
) -> tuple[tuple[FloatArray, FloatArray], dict[int, str]]:
    """Points (N, K, 2) and confidence (N, K) of all samples; index -> why an image can't be read."""
    points = np.full((len(samples), num_points, 2), np.inf, np.float32)
    confidence = np.zeros((len(samples), num_points), np.float32)
    failed: dict[int, str] = {}
    for i, sample in enumerate(_progress(samples, "evaluating")):
        try:
            image = sample.load_image()
        except FewmarkError as error:
            failed[i] = str(error)
            continue
        if (face := locate(image, sample)) is not None:
            points[i], confidence[i] = face
    return (points, confidence), failed


def _on_true_crop(
    model: FaceModel, backend: Backend, flip: bool, image: ImageArray, sample: FaceSample
) -> tuple[FloatArray, FloatArray]:
    size = model.network.config.input_size
    box = box_around_points(sample.points, model.scheme)  # which knows how the face lies around its points
    matrix = frame_from_crop_matrix(box, size, model.crop_rule)
    crop = cut_crop(image, matrix, size).image[None]
    prediction = predict_both_ways(backend, crop, model.scheme) if flip else backend.predict(crop)
    points = transform_points(model.as_labelled(prediction.points[0]), matrix).astype(np.float32)
    return points, model.calibrated(prediction.confidence[0])


def _through_the_pipeline(
    tracker: FaceTracker, image: ImageArray, sample: FaceSample
) -> tuple[FloatArray, FloatArray] | None:
    """A photo may show others too: the labelled face is the one that lies on the labels. None: it was not found."""
    faces = tracker.process_still(Frame(image, index=0, time_s=0.0)).faces
    if not faces:
        return None
    labelled = box_around_points(sample.points, tracker.model.scheme)
    overlap = overlaps([face.box for face in faces], [labelled])[:, 0]
    best = int(overlap.argmax())
    return (faces[best].points, faces[best].confidence) if overlap[best] > 0 else None


def _on_background(
    model: FaceModel, backend: Backend, detector: FaceDetector, samples: Sequence[FaceSample], squares: int
) -> FloatArray:
    photos: dict[Path, list[FaceSample]] = {}
    for sample in samples:
        photos.setdefault(sample.image_path, []).append(sample)
    faces_by_photo = list(photos.values())
    every = max(1, len(faces_by_photo) // squares)
    shown = _progress(faces_by_photo[::every], "squares without a face")
    return background_confidences(model, backend, detector, shown, squares)


def _held_out_share(model: FaceModel) -> float:
    """The share of the training faces that the model's own recipe kept from it."""
    recipe = model.provenance.get("recipe", {})
    return float(recipe.get("data", {}).get("validation", DataConfig().validation))


def _progress(items: Sequence[_Item], description: str) -> Iterable[_Item]:
    return progress_bar(items, description, transient=True, console=Console(stderr=True))


def _describe(samples: Sequence[FaceSample], root: Path, dataset: Dataset) -> EvaluatedFaces:
    labels = {label for sample in samples for label in (sample.subset, *sample.attributes)}
    # A published group of which a subset is not at hand would bear a name that it does not deserve.
    complete = {name for name, members in dataset.subsets.items() if labels.issuperset(members)}
    no_box = np.full(4, np.nan, np.float32)
    return EvaluatedFaces(
        images=tuple(_relative(sample.image_path, root) for sample in samples),
        photos=tuple(sample.group for sample in samples),
        subsets=tuple(sample.subset for sample in samples),
        groups=tuple(tuple(n for n in dataset.subsets_of(sample) if n in complete) for sample in samples),
        points=np.stack([sample.points for sample in samples]).astype(np.float32),
        visible=np.stack([sample.visible for sample in samples]),
        boxes=np.stack([no_box if sample.box is None else sample.box.xyxy for sample in samples]),
    )


def _relative(path: Path, root: Path) -> str:
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()
