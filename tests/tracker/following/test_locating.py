"""Landmarks in a box, by the shipped model on the face of the demo clip."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tracker.files.assets import demo_clip
from tracker.following.locating import FaceLocator, LocateRequest
from tracker.following.mirroring import predict_both_ways
from tracker.following.pipeline import FaceTracker
from tracker.geometry.crop import box_around_points, cut_crop, frame_from_crop_matrix, invert, transform_points
from tracker.machine.timing import StageTimer
from tracker.sources import open_source


def test_points_lie_where_the_labels_do(face_tracker: FaceTracker) -> None:
    with open_source(demo_clip()) as source:
        frame = next(iter(source))
    model, backend = face_tracker.model, face_tracker.backend
    box = box_around_points(face_tracker.process(frame).faces[0].points, model.scheme)
    found = []
    for offset in (0.0, 0.05):
        locator = FaceLocator(replace(model, label_offset=offset), backend)
        (face,) = locator.locate(LocateRequest(frame.image), [box], [None], StageTimer())
        found.append(transform_points(face.points, invert(face.frame_from_crop)))
    wanted = found[0] + [0.05 * model.network.config.input_size, 0]  # to the right of the crop, turned as it is
    np.testing.assert_allclose(found[1], wanted, atol=1e-3)


def test_a_close_look_averages_two_distances_and_their_mirror_images(face_tracker: FaceTracker) -> None:
    with open_source(demo_clip()) as source:
        frame = next(iter(source))
    # The offset belongs to the first distance; it has a test of its own.
    model, backend = replace(face_tracker.model, label_offset=0.0), face_tracker.backend
    box = box_around_points(face_tracker.process(frame).faces[0].points, model.scheme)
    locator = FaceLocator(model, backend)
    (glance,) = locator.locate(LocateRequest(frame.image), [box], [None], StageTimer())
    (close,) = locator.locate(LocateRequest(frame.image, closely=True), [box], [None], StageTimer())

    size, points, confidence = model.network.config.input_size, [], []
    for margin in (model.crop_rule.margin, 0.92 * model.crop_rule.margin):
        matrix = frame_from_crop_matrix(box, size, replace(model.crop_rule, margin=margin))
        look = predict_both_ways(backend, cut_crop(frame.image, matrix, size).image[None], model.scheme)
        points.append(transform_points(look.points[0], matrix))
        confidence.append(look.confidence[0])
    np.testing.assert_allclose(close.points, np.mean(points, axis=0), atol=0.02)
    np.testing.assert_allclose(close.confidence, np.mean(confidence, axis=0), atol=1e-3)
    apart = np.linalg.norm(close.points - glance.points, axis=1) / box.width
    assert 0 < apart.mean() < 0.02
