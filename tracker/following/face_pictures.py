"""Heatmaps and reconstructions of faces whose crops are known: made again without looking for the faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tracker.backends.base import Backend, PredictionRequest
from tracker.geometry.crop import cut_crop
from tracker.overlays import RECONSTRUCTIONS
from tracker.types import TrackingResult


def pictures_for(overlays: Sequence[str], heatmap_of: int | None = None) -> PredictionRequest:
    """What the named overlays draw of a face beside its landmarks."""
    return PredictionRequest(
        heatmaps="heatmap" in overlays,
        heatmap_of=heatmap_of,
        reconstructions=any(name in RECONSTRUCTIONS for name in overlays),
    )


def add_pictures(result: TrackingResult, backend: Backend, request: PredictionRequest) -> TrackingResult:
    """The result with the pictures of each face that has a crop; points and confidences stay as they are.

    Args:
        result: its faces' crops (``frame_from_crop``, ``crop_size``) are those that ``backend``'s model was given.
    """
    places = [i for i, face in enumerate(result.faces) if face.crop_size > 0]
    if not places or not request.holds_pictures:
        return result
    faces = list(result.faces)
    crops = np.stack([cut_crop(result.frame.image, faces[i].frame_from_crop, faces[i].crop_size).image for i in places])
    made = backend.predict(crops, request)
    for row, i in enumerate(places):
        reconstruction = None if made.reconstructions is None else made.reconstructions[row]
        error = None
        if reconstruction is not None:
            error = float(np.abs(reconstruction.astype(np.int16) - crops[row]).mean())
        faces[i] = replace(
            faces[i],
            heatmap=None if made.heatmaps is None else made.heatmaps[row],
            reconstruction=reconstruction,
            recon_error=error if error is not None else faces[i].recon_error,
        )
    return replace(result, faces=tuple(faces), backend=backend.name)
