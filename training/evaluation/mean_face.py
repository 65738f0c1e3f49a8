"""The mean face of labelled faces, and how predictions scatter around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.crop_rule import CropRule
from tracker.geometry.crop import box_around_points, frame_from_crop_matrix, invert, transform_points
from training.evaluation.result import Evaluation


@dataclass(frozen=True, slots=True, eq=False)
class MeanFace:
    """In units of the side of the faces' boxes, y down."""

    points: NDArray[np.float64]  # (K, 2) mean labelled position; NaN where a landmark is nowhere labelled
    covariance: NDArray[np.float64]  # (K, 2, 2) of predicted minus labelled position; NaN with fewer than 2 faces


def mean_face(evaluation: Evaluation) -> MeanFace:
    """Over the faces found; each is turned upright by its labels and scaled to its box."""
    k = evaluation.scheme.num_points
    faces = evaluation.faces
    shapes: list[NDArray[np.float64]] = []
    offsets: list[NDArray[np.float64]] = []
    for index in np.flatnonzero(evaluation.found).tolist():
        box = box_around_points(faces.points[index], evaluation.scheme)
        upright_from_image = invert(frame_from_crop_matrix(box, 1, CropRule(margin=1.0)))
        shape = transform_points(faces.points[index], upright_from_image)
        offset = transform_points(evaluation.predicted[index], upright_from_image) - shape
        hidden = ~faces.visible[index][:, None]
        shapes.append(np.where(hidden, np.nan, shape))
        offsets.append(np.where(hidden, np.nan, offset))
    if not shapes:
        return MeanFace(np.full((k, 2), np.nan), np.full((k, 2, 2), np.nan))
    points, covariance = np.full((k, 2), np.nan), np.full((k, 2, 2), np.nan)
    for landmark in range(k):
        positions, scatter = (_known(np.stack(values)[:, landmark]) for values in (shapes, offsets))
        if len(positions):
            points[landmark] = positions.mean(axis=0)
        if len(scatter) > 1:
            covariance[landmark] = np.cov(scatter.T)
    return MeanFace(points, covariance)


def _known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values[np.isfinite(values).all(axis=1)]
