"""Evaluation: where a model put the landmarks of labelled faces. All figures are worked out of it afterwards, so that a
saved one can be looked at by another normaliser, at another threshold, beside another model.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.errors import FewmarkError
from models.landmark_schemes import LandmarkScheme, scheme_from_dict
from tracker.types import FloatArray
from training.evaluation.metrics import point_errors

POINTS_FILE = "evaluation.npz"
_FORMAT = "fewmark-evaluation"
_VERSION = 1


@dataclass(frozen=True, slots=True, eq=False)
class EvaluatedFaces:
    """N labelled faces of one scheme, in the data set's order."""

    images: tuple[str, ...]  # (N,) file, relative to the data set's root
    photos: tuple[str, ...]  # (N,) faces of one photo share it
    subsets: tuple[str, ...]  # (N,)
    groups: tuple[tuple[str, ...], ...]  # (N,) published groups that a face belongs to: "common", "occlusion" ...
    points: FloatArray  # (N, K, 2) image pixels, as labelled
    visible: np.ndarray  # (N, K) bool; False: not labelled
    boxes: FloatArray  # (N, 4) the data set's own face boxes; NaN: it has none

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """A model's landmarks on labelled faces."""

    model: str
    dataset: str
    subset: str  # as it was asked for: "validation", "test" ...
    crops: str  # "detector" or "truth"
    backend: str
    scheme: LandmarkScheme
    normaliser: str  # by which the data set's papers divide errors
    faces: EvaluatedFaces
    predicted: FloatArray  # (N, K, 2) image pixels; infinite for a face that was not found
    confidence: FloatArray  # (N, K) 0..1, as the tracker publishes it; 0 for a face that was not found
    confidence_meaning: str  # see FaceModel.confidence_meaning
    calibrated_on: str = ""  # data set and split that the confidences were calibrated on; "": they were not
    cross_validated_error: float | None = None  # ECE of that calibration on faces that its fit had not seen
    skipped: tuple[str, ...] = ()  # samples that could not be read, "file: reason"
    background: FloatArray | None = None  # (M,) mean raw confidence on squares without a face; None: not looked at

    def errors(self, normaliser: str | None = None) -> FloatArray:
        """(N, K) in units of a normaliser: NaN where not labelled or not normalisable, infinite for a missed face.

        Args:
            normaliser: a name of ``NORMALISERS``; None takes the data set's own.

        Raises:
            FewmarkError: the normaliser is unknown, or the scheme lacks its points.
        """
        faces = self.faces
        return point_errors(
            self.predicted,
            faces.points,
            faces.visible,
            self.scheme,
            normaliser=normaliser or self.normaliser,
            boxes=faces.boxes,
        )

    @property
    def found(self) -> np.ndarray:
        """(N,) bool."""
        return np.asarray(np.isfinite(self.predicted).all(axis=(1, 2)))

    @property
    def calibrated_on_these(self) -> bool:
        """Whether the calibration has seen the very faces: then its error on them flatters."""
        return self.calibrated_on == f"{self.dataset} {self.subset}"

    def save(self, path: Path) -> None:
        """Writes the file whole or not at all; ``load_evaluation`` reads it. OSError where it can't be written."""
        header: dict[str, Any] = {
            "format": _FORMAT,
            "version": _VERSION,
            "scheme": self.scheme.to_dict(),
            **{name: getattr(self, name) for name in _TEXTS},
            "cross_validated_error": self.cross_validated_error,
            "skipped": self.skipped,
            **{name: getattr(self.faces, name) for name in _NAMES},
        }
        arrays = {name: getattr(self, name) for name in ("predicted", "confidence")}
        arrays |= {name: getattr(self.faces, name) for name in ("points", "visible", "boxes")}
        if self.background is not None:
            arrays["background"] = self.background
        content = io.BytesIO()
        np.savez_compressed(content, header=np.array(json.dumps(header)), **arrays)
        partial = path.with_name(path.name + ".part")
        partial.write_bytes(content.getvalue())
        partial.replace(path)


_TEXTS = ("model", "dataset", "subset", "crops", "backend", "normaliser", "confidence_meaning", "calibrated_on")
_NAMES = ("images", "photos", "subsets", "groups")


def load_evaluation(path: Path) -> Evaluation:
    """An evaluation that an earlier run wrote.

    Args:
        path: the folder given to ``fewmark evaluate --out``, or its ``evaluation.npz``.

    Raises:
        FewmarkError: there is none, or it can't be read.
    """
    file = path / POINTS_FILE if path.is_dir() else path
    if not file.is_file():
        raise FewmarkError(f"{path}: no earlier evaluation here; pass a folder that `fewmark evaluate --out` wrote")
    try:
        with np.load(file, allow_pickle=False) as arrays:
            header = json.loads(str(arrays["header"]))
            if header.get("format") != _FORMAT or header.get("version") != _VERSION:
                raise FewmarkError(f"{file}: not an evaluation that this version can read; evaluate again")
            names = {name: tuple(header[name]) for name in _NAMES if name != "groups"}
            return Evaluation(
                scheme=scheme_from_dict(header["scheme"]),
                faces=EvaluatedFaces(
                    **names,
                    groups=tuple(tuple(g) for g in header["groups"]),
                    points=arrays["points"],
                    visible=arrays["visible"],
                    boxes=arrays["boxes"],
                ),
                predicted=arrays["predicted"],
                confidence=arrays["confidence"],
                cross_validated_error=header["cross_validated_error"],
                skipped=tuple(header["skipped"]),
                background=arrays.get("background"),
                **{name: str(header[name]) for name in _TEXTS},
            )
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise FewmarkError(f"{file}: not a readable evaluation ({error}); evaluate again") from error
