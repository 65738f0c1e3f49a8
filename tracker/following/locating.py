"""Landmarks in boxes: crops out of a frame, through the network in one batch, and back into the frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.crop_rule import CropRule
from models.files.model_file import FaceModel
from tracker.backends.base import LANDMARKS_ONLY, Backend, Prediction, PredictionRequest
from tracker.config import TrackingConfig
from tracker.following.appearance import appearance_of
from tracker.following.mirroring import predict_both_ways
from tracker.geometry.crop import box_around_points, cut_crop, frame_from_crop_matrix, invert, transform_points
from tracker.machine.timing import StageTimer
from tracker.types import FaceBox, FloatArray, ImageArray, Matrix

_NEARER = 0.92  # of a crop's side: the second look at a still


@dataclass(frozen=True, slots=True, eq=False)
class LocateRequest:
    """A frame's image, and what is wanted of its faces."""

    image: ImageArray  # (H, W, 3)
    prediction: PredictionRequest = LANDMARKS_ONLY
    closely: bool = False  # each face and its mirror image, from two distances, averaged


@dataclass(frozen=True, slots=True, eq=False)
class LocatedFace:
    """A face as the network found it in one frame, before it has its id."""

    points: FloatArray  # (K, 2) frame pixels, not smoothed
    confidence: FloatArray  # (K,) raw
    frame_from_crop: Matrix
    box: FaceBox  # the square that the next crop is made from
    previous_id: int | None
    crop: ImageArray  # (S, S, 3)
    crop_points: FloatArray  # (K, 2) pixels of the crop
    heatmap: FloatArray | None
    reconstruction: ImageArray | None
    recon_error: float | None

    @property
    def appearance(self) -> FloatArray:
        """See appearance.py; computed at each call."""
        return appearance_of(self.crop, self.crop_points)

    @property
    def mean_confidence(self) -> float:
        return float(self.confidence.mean())


def is_face(face: LocatedFace, config: TrackingConfig) -> bool:
    """Whether the landmarks are sure enough for a face that is followed."""
    return face.mean_confidence >= config.min_confidence


def is_new_face(face: LocatedFace, detector_score: float, config: TrackingConfig) -> bool:
    """The less sure the detector is, the surer the landmarks have to be: what looks like a face to one is none."""
    return face.mean_confidence >= config.min_confidence * (1 + config.doubt_margin * (1 - detector_score))


class FaceLocator:
    """Finds the landmarks of faces whose boxes are known. Single-threaded, as the backend is."""

    def __init__(self, model: FaceModel, backend: Backend) -> None:
        self._model, self._backend = model, backend
        self._size = model.network.config.input_size

    def locate(
        self, request: LocateRequest, boxes: Sequence[FaceBox], ids: Sequence[int | None], timer: StageTimer
    ) -> list[LocatedFace]:
        """Crops all boxes and runs the network on them in one batch.

        Args:
            ids: of the faces in the boxes, None for new ones; they go into ``previous_id``.
            timer: receives the stages "crop" and "network".
        """
        if not boxes:
            return []
        rule = self._model.crop_rule
        with timer.stage("crop"):
            matrices, crops = self._cut(request.image, boxes, rule)
            nearer = None
            if request.closely:
                nearer = self._cut(request.image, boxes, replace(rule, margin=_NEARER * rule.margin))
        with timer.stage("network"):
            if nearer is None:
                prediction = self._backend.predict(crops, request.prediction)
            else:
                prediction = predict_both_ways(self._backend, crops, self._model.scheme, request.prediction)
                prediction = self._averaged(prediction, matrices, *nearer)
        return [
            self._located(prediction, i, crops[i], matrix, face_id)
            for i, (matrix, face_id) in enumerate(zip(matrices, ids, strict=True))
        ]

    def locate_new(
        self, request: LocateRequest, boxes: Sequence[FaceBox], config: TrackingConfig, timer: StageTimer
    ) -> list[LocatedFace]:
        """The faces in detected boxes, without those that are none.

        The detector's box is coarse: the landmarks found in it refine the crop, ``config.refinements`` times.
        """
        scores = [box.score for box in boxes]
        for _ in range(config.refinements):
            coarse = self.locate(LocateRequest(request.image), boxes, [None] * len(boxes), timer)
            kept = [(face.box, score) for face, score in zip(coarse, scores, strict=True) if is_face(face, config)]
            boxes, scores = [box for box, _ in kept], [score for _, score in kept]
        found = self.locate(request, boxes, [None] * len(boxes), timer)
        return [face for face, score in zip(found, scores, strict=True) if is_new_face(face, score, config)]

    def _cut(self, image: ImageArray, boxes: Sequence[FaceBox], rule: CropRule) -> tuple[list[Matrix], ImageArray]:
        matrices = [frame_from_crop_matrix(box, self._size, rule) for box in boxes]
        return matrices, np.stack([cut_crop(image, matrix, self._size).image for matrix in matrices])

    def _averaged(
        self, prediction: Prediction, matrices: Sequence[Matrix], nearer: Sequence[Matrix], crops: ImageArray
    ) -> Prediction:
        """A prediction together with that on ``crops`` of the same faces, cut nearer; in the first ones' pixels."""
        second = predict_both_ways(self._backend, crops, self._model.scheme)
        there = [
            transform_points(transform_points(points, near), invert(matrix))
            for points, near, matrix in zip(second.points, nearer, matrices, strict=True)
        ]
        return replace(
            prediction,
            points=((prediction.points + np.stack(there)) / 2).astype(np.float32),
            confidence=((prediction.confidence + second.confidence) / 2).astype(np.float32),
        )

    def _located(
        self, prediction: Prediction, i: int, crop: ImageArray, matrix: Matrix, face_id: int | None
    ) -> LocatedFace:
        points = transform_points(self._model.as_labelled(prediction.points[i]), matrix).astype(np.float32)
        confidence = prediction.confidence[i]
        reconstruction = None if prediction.reconstructions is None else prediction.reconstructions[i]
        error = None
        if reconstruction is not None:
            error = float(np.abs(reconstruction.astype(np.int16) - crop).mean())
        return LocatedFace(
            points=points,
            confidence=confidence,
            frame_from_crop=matrix,
            box=box_around_points(points, self._model.scheme, float(confidence.mean())),
            previous_id=face_id,
            crop=crop,
            crop_points=prediction.points[i],
            heatmap=None if prediction.heatmaps is None else prediction.heatmaps[i],
            reconstruction=reconstruction,
            recon_error=error,
        )
