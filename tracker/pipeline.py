"""The pipeline: a frame goes in, a tracking result comes out. Synchronous and single-threaded.

A face is detected once and then followed: its crop comes from its last landmarks. The detector runs where there is
nothing to follow, when a face is lost, after a cut, and once a period while there is room for more faces.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np

from models.checkpoint import FaceModel
from models.errors import FewmarkError
from models.registry import open_model
from tracker.association import FaceAssociator, unmatched_detections
from tracker.backends import Choice, Prediction, choose_backend
from tracker.config import DetectionConfig, TrackerConfig
from tracker.crop import (
    bounding_box,
    box_around_points,
    cut_crop,
    frame_from_crop_matrix,
    transform_points,
)
from tracker.detectors import DETECTORS, FaceDetector
from tracker.mirroring import predict_both_ways
from tracker.scene_change import CUT, DOUBT, SceneChangeDetector
from tracker.smoothing import OneEuroFilter
from tracker.timing import StageTimer
from tracker.types import FaceBox, FloatArray, Frame, ImageArray, Matrix, TrackedFace, TrackingResult

NO_RECONSTRUCTION = "model {} was not trained to reconstruct faces, so it has no reconstruction to show"


@dataclass(frozen=True, slots=True, eq=False)
class _Located:
    """A face as the network found it in one frame, before it has its id."""

    points: FloatArray  # (K, 2) frame pixels, not smoothed
    confidence: FloatArray  # (K,)
    frame_from_crop: Matrix
    box: FaceBox  # the square that the next crop is made from
    previous_id: int | None
    heatmap: FloatArray | None
    reconstruction: ImageArray | None
    recon_error: float | None

    @property
    def mean_confidence(self) -> float:
        return float(self.confidence.mean())


class FaceTracker:
    """Follows faces through the frames of one source. Single-threaded: one thread makes it, uses it and closes it."""

    def __init__(
        self, model: FaceModel, choice: Choice, detector: FaceDetector, config: TrackerConfig | None = None
    ) -> None:
        self.model, self.backend, self.config = model, choice.backend, config or TrackerConfig()
        self.backends_passed_over = choice.passed_over
        self._detector = detector
        self._associator = FaceAssociator(self.config.tracking.association)
        self._scene = SceneChangeDetector()
        self._tracked: dict[int, FaceBox] = {}
        self._filters: dict[int, OneEuroFilter] = {}
        self._detected_at_s = self._thorough_at_s = -math.inf

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Frees the backend and the detector."""
        self.backend.close()
        self._detector.close()

    def reset(self, *, restart_ids: bool = False) -> None:
        """Forgets all faces, as before a frame that does not follow the last one.

        Args:
            restart_ids: count ids from 0 again, as for another source; else none is used twice.
        """
        if restart_ids:
            self._associator = FaceAssociator(self.config.tracking.association)
        self._scene.reset()
        self._forget()
        self._thorough_at_s = -math.inf  # not so at a cut: where one follows the other, the period still holds

    def reconfigure(self, config: TrackerConfig) -> None:
        """Other limits and another smoothing from the next frame on; faces stay followed.

        Raises:
            ValueError: ``needs_another_tracker`` says so.
        """
        if needs_another_tracker(self.config, config):
            raise ValueError("another model, backend, detection or association needs another tracker")
        if (config.smooth, config.smoothing) != (self.config.smooth, self.config.smoothing):
            self._filters.clear()
        largest = sorted(self._tracked, key=lambda i: -self._tracked[i].width)[: config.tracking.max_faces]
        self._tracked = {i: box for i, box in self._tracked.items() if i in largest}
        self.config = config

    def process(
        self,
        frame: Frame,
        *,
        heatmaps: bool = False,
        heatmap_of: int | None = None,
        reconstructions: bool = False,
        recorded: bool = False,
    ) -> TrackingResult:
        """Finds and follows the faces of the next frame.

        Args:
            heatmaps: also return each face's heatmap.
            heatmap_of: index of the landmark whose heatmap that is; None collapses those of all landmarks.
            reconstructions: also return each face's reconstruction and its error.
            recorded: the frame does not come live, there is no hurry: where no face is followed, small ones are looked
                for as well, at most once in ``DetectionConfig.thorough_period_s``.

        Raises:
            FewmarkError: reconstructions are asked of a model that was not trained to make any.
        """
        return self._process(_Request(frame.image, heatmaps, heatmap_of, reconstructions, recorded=recorded), frame)

    def process_still(self, frame: Frame, *, heatmaps: bool = False, reconstructions: bool = False) -> TrackingResult:
        """The same for a frame that stands for itself, as a photo does: nothing is followed, and ids count from 0.

        There is no hurry: where the detector finds no face at once it looks for small ones, and the network looks at
        each face and at its mirror image.
        """
        self.reset(restart_ids=True)
        request = _Request(frame.image, heatmaps, reconstructions=reconstructions, thorough=True)
        return self._process(request, frame)

    def _process(self, request: _Request, frame: Frame) -> TrackingResult:
        if request.reconstructions and not self.model.reconstructs:
            raise FewmarkError(NO_RECONSTRUCTION.format(self.model.name))
        timer = StageTimer()
        image = frame.image
        with timer.stage("scene"):
            if frame.time_s < self._detected_at_s:
                self.reset()
            resemblance = self._scene.resemblance(image)
            if resemblance < CUT:
                self._forget()

        followed = list(self._tracked.items())
        faces = self._locate(request, [box for _, box in followed], [i for i, _ in followed], timer)
        # Where a scene may have ended, what is left of its faces has to be as sure as if it were found anew.
        believed = self._is_face if resemblance >= DOUBT else partial(self._is_new_face, detector_score=0.5)
        faces = [face for face in faces if believed(face)]

        lost = len(faces) < len(followed)
        due = frame.time_s - self._detected_at_s >= self.config.detection.period_s
        room = self.config.tracking.max_faces - len(faces)
        if not faces or lost or (due and room > 0):
            with timer.stage("detect"):
                detections = self._detect(request, frame, follows_one=bool(faces))
            new = unmatched_detections(detections, [face.box for face in faces])
            largest = sorted(new, key=lambda box: -box.width)[: max(room, 0)]
            faces += self._locate_new(request, largest, timer)

        with timer.stage("associate"):
            kept = self._associator.drop_duplicates(
                [face.box for face in faces], frame.time_s, [face.previous_id for face in faces]
            )
            faces = [faces[i] for i in kept]
            ids = self._associator.update(
                [face.box for face in faces], frame.time_s, [face.previous_id for face in faces]
            )
            self._tracked = {face_id: face.box for face_id, face in zip(ids, faces, strict=True)}
            self._filters = {i: f for i, f in self._filters.items() if i in self._tracked}
            tracked = [self._finish(i, face, frame.time_s) for i, face in zip(ids, faces, strict=True)]
        return TrackingResult(
            frame=frame,
            faces=tuple(sorted(tracked, key=lambda face: face.face_id)),
            stage_ms=timer.stage_ms,
            model=self.model.name,
            backend=self.backend.name,
        )

    def _forget(self) -> None:
        self._tracked.clear()
        self._filters.clear()
        self._associator.reset()
        self._detected_at_s = -math.inf

    def _detect(self, request: _Request, frame: Frame, *, follows_one: bool) -> list[FaceBox]:
        period_s = self.config.detection.thorough_period_s
        due = math.isfinite(period_s) and frame.time_s - self._thorough_at_s >= period_s
        thorough = request.thorough or (request.recorded and due and not follows_one)
        self._detected_at_s = frame.time_s
        if thorough:
            self._thorough_at_s = frame.time_s
        return self._detector.detect(frame.image, thorough=thorough)

    def _is_face(self, face: _Located) -> bool:
        return face.mean_confidence >= self.config.tracking.min_confidence

    def _is_new_face(self, face: _Located, detector_score: float) -> bool:
        """The less sure the detector is, the surer the landmarks have to be: what looks like a face to one is none."""
        tracking = self.config.tracking
        return face.mean_confidence >= tracking.min_confidence + tracking.doubt_margin * (1 - detector_score)

    def _locate_new(self, request: _Request, boxes: Sequence[FaceBox], timer: StageTimer) -> list[_Located]:
        """Faces in detected boxes. The detector's box is coarse: the landmarks found in it refine the crop."""
        scores = [box.score for box in boxes]
        for _ in range(self.config.tracking.refinements):
            coarse = self._locate(_Request(request.image), boxes, [None] * len(boxes), timer)
            kept = [(face.box, score) for face, score in zip(coarse, scores, strict=True) if self._is_face(face)]
            boxes, scores = [box for box, _ in kept], [score for _, score in kept]
        found = self._locate(request, boxes, [None] * len(boxes), timer)
        return [face for face, score in zip(found, scores, strict=True) if self._is_new_face(face, score)]

    def _locate(
        self, request: _Request, boxes: Sequence[FaceBox], ids: Sequence[int | None], timer: StageTimer
    ) -> list[_Located]:
        """Crops all boxes and runs the network on them in one batch."""
        if not boxes:
            return []
        size = self.model.network.config.input_size
        with timer.stage("crop"):
            matrices = [frame_from_crop_matrix(box, size, self.model.crop_rule) for box in boxes]
            crops = np.stack([cut_crop(request.image, matrix, size).image for matrix in matrices])
        with timer.stage("network"):
            predict: Callable[..., Prediction]
            if request.thorough:
                predict = partial(predict_both_ways, self.backend, scheme=self.model.scheme)
            else:
                predict = self.backend.predict
            prediction = predict(
                crops,
                heatmaps=request.heatmaps,
                heatmap_of=request.heatmap_of,
                reconstructions=request.reconstructions,
            )
        located = []
        for i, (matrix, face_id) in enumerate(zip(matrices, ids, strict=True)):
            points = transform_points(prediction.points[i], matrix).astype(np.float32)
            confidence = prediction.confidence[i]
            reconstruction = None if prediction.reconstructions is None else prediction.reconstructions[i]
            error = None
            if reconstruction is not None:
                error = float(np.abs(reconstruction.astype(np.int16) - crops[i]).mean())
            located.append(
                _Located(
                    points=points,
                    confidence=confidence,
                    frame_from_crop=matrix,
                    box=box_around_points(points, self.model.scheme, float(confidence.mean())),
                    previous_id=face_id,
                    heatmap=None if prediction.heatmaps is None else prediction.heatmaps[i],
                    reconstruction=reconstruction,
                    recon_error=error,
                )
            )
        return located

    def _finish(self, face_id: int, face: _Located, time_s: float) -> TrackedFace:
        points = face.points
        if self.config.smooth:
            smooth = self._filters.setdefault(face_id, OneEuroFilter(self.config.smoothing))
            points = smooth(points, time_s, face.box.width)
        confidence = self.model.calibrated(face.confidence)  # what is a face at all was decided by the raw value
        return TrackedFace(
            face_id=face_id,
            points=points,
            confidence=confidence,
            box=bounding_box(points, float(confidence.mean())),
            frame_from_crop=face.frame_from_crop,
            crop_size=self.model.network.config.input_size,
            heatmap=face.heatmap,
            reconstruction=face.reconstruction,
            recon_error=face.recon_error,
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    image: ImageArray
    heatmaps: bool = False
    heatmap_of: int | None = None
    reconstructions: bool = False
    thorough: bool = False  # a still
    recorded: bool = False


def needs_another_tracker(running: TrackerConfig, wanted: TrackerConfig) -> bool:
    """Whether a tracker of one config can't be reconfigured to another."""

    def fixed(config: TrackerConfig) -> tuple[object, ...]:
        return config.model, config.backend, config.detection, config.tracking.association

    return fixed(running) != fixed(wanted)


def open_detector(
    config: DetectionConfig, *, model_dir: Path | None = None, report: Callable[[str], None] | None = None
) -> FaceDetector:
    """The detector that the config names; arguments and errors as for ``open_tracker``."""
    if config.detector not in DETECTORS:
        raise FewmarkError(f"detector {config.detector!r} is unknown; choose one of {', '.join(DETECTORS)}")
    return DETECTORS[config.detector](
        min_score=config.min_score, tiles=config.tiles, model_dir=model_dir, report=report
    )


def open_tracker(
    config: TrackerConfig | None = None,
    *,
    model_dir: Path | None = None,
    report: Callable[[str], None] | None = None,
) -> FaceTracker:
    """A tracker with the model, backend and detector that the config names.

    Args:
        model_dir: where the user keeps detector files, see ``tracker.model_store``.
        report: receives a line for a person when a file has to be obtained.

    Raises:
        FewmarkError: one of them can't be had.
    """
    config = config or TrackerConfig()
    model = open_model(config.model)
    detector = open_detector(config.detection, model_dir=model_dir, report=report)
    return FaceTracker(model, choose_backend(config.backend, model), detector, config)
