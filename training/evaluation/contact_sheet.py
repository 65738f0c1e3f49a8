"""The worst faces as pictures: what was labelled, what was predicted, and the way between."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from models.crop_rule import CropRule
from models.errors import FewmarkError
from tracker.geometry.crop import box_around_points, cut_crop, frame_from_crop_matrix, invert, transform_points
from tracker.overlays.drawing import Colour, draw_discs, draw_lines
from tracker.types import FloatArray, ImageArray
from training.datasets.base import load_rgb
from training.evaluation.figures import FaceRow, Figures
from training.evaluation.result import Evaluation

LABELLED: Colour = (86, 180, 233)  # Okabe and Ito's sky blue
PREDICTED: Colour = (230, 159, 0)  # and orange
_SIDE = 360  # px
_MARGIN = 1.5  # of a picture around the labels' box
_JPEG_QUALITY = 85


@dataclass(frozen=True, slots=True, eq=False)
class FacePicture:
    """One face of the sheet."""

    row: FaceRow
    jpeg: bytes


def worst_faces(evaluation: Evaluation, figures: Figures, data: Path) -> Iterator[FacePicture]:
    """Pictures of the worst faces, the worst first; one whose image has gone since is left out.

    Args:
        data: the data set's root folder.
    """
    for row in figures.worst:
        try:
            image = load_rgb(data / row.image)
        except FewmarkError:
            continue
        picture = draw_face(image, evaluation, row.index)
        ok, encoded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        if ok:
            yield FacePicture(row, encoded.tobytes())


def draw_face(image: ImageArray, evaluation: Evaluation, index: int) -> ImageArray:
    """(S, S, 3) RGB: the face, not turned, with its labels and what was predicted."""
    faces, visible = evaluation.faces, evaluation.faces.visible[index]
    box = box_around_points(faces.points[index], evaluation.scheme)
    frame_from_crop = frame_from_crop_matrix(box, _SIDE, CropRule(margin=_MARGIN, level=False))
    picture = cut_crop(image, frame_from_crop, _SIDE).image.copy()
    crop_from_frame = invert(frame_from_crop)
    labelled = transform_points(faces.points[index], crop_from_frame).astype(np.float32)[visible]
    if evaluation.found[index]:
        predicted = transform_points(evaluation.predicted[index], crop_from_frame).astype(np.float32)[visible]
        ways: list[FloatArray] = list(np.stack([labelled, predicted], axis=1))
        draw_lines(picture, ways, PREDICTED, 1.2, opacity=0.9)
        draw_discs(picture, predicted, [PREDICTED] * len(predicted), 2.2)
    draw_discs(picture, labelled, [LABELLED] * len(labelled), 2.2)
    return picture
