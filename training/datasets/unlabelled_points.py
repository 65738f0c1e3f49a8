"""Estimates of landmarks that a dataset leaves out, so that a crop can be cut around every face.

A crop is cut around all K points. AFLW has no coordinates for what the head hides, and a set of one's own may be
labelled in part: the mean face, laid over the labelled points, says where the rest should be. Such points stay
``visible=False``; neither loss nor metrics ever see them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tracker.types import FloatArray
from training.datasets.base import FaceSample

ComplexArray = NDArray[np.complex128]  # (K,) x + iy: a similarity is then a multiplication and an addition


def estimate_unlabelled(samples: Sequence[FaceSample]) -> list[FaceSample]:
    """The samples, with finite points everywhere. Complete ones are passed on as they are.

    The mean face is made of the complete faces of the same scheme. Where there are none, a landmark that isn't
    labelled comes to lie in the middle of those that are.

    Args:
        samples: each with at least one visible point.
    """
    complete: dict[str, list[ComplexArray]] = {}
    for sample in samples:
        if sample.visible.all():
            complete.setdefault(sample.scheme.name, []).append(_complex(sample.points))
    means = {name: mean_face(faces) for name, faces in complete.items()}
    return [
        sample
        if sample.visible.all()
        else dataclasses.replace(sample, points=_completed(sample, means.get(sample.scheme.name)))
        for sample in samples
    ]


def mean_face(faces: Sequence[ComplexArray]) -> ComplexArray:
    """(K,) mean of faces laid over each other by similarities (Procrustes), in the frame of the first one."""
    mean = faces[0]
    for _ in range(2):
        everywhere = np.ones(len(mean), bool)
        mean = np.mean([_laid_over(face, mean, everywhere) for face in faces], axis=0)
    return mean


def _laid_over(face: ComplexArray, target: ComplexArray, known: NDArray[np.bool_]) -> ComplexArray:
    """``face`` under the similarity that brings its known points closest to the target's, by least squares."""
    middle = face[known].mean()
    centred = face[known] - middle
    spread = np.vdot(centred, centred).real
    turn = np.vdot(centred, target[known]) / spread if spread else 1.0
    return np.asarray(target[known].mean() + turn * (face - middle))


def _completed(sample: FaceSample, mean: ComplexArray | None) -> FloatArray:
    points = _complex(sample.points)
    known = sample.visible
    estimate = np.full_like(points, points[known].mean()) if mean is None else _laid_over(mean, points, known)
    points = np.where(known, points, estimate)
    return np.stack([points.real, points.imag], axis=-1).astype(np.float32)


def _complex(points: FloatArray) -> ComplexArray:
    return points[:, 0].astype(np.complex128) + 1j * points[:, 1]
