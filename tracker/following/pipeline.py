"""The pipeline: a frame goes in, a tracking result comes out. Synchronous and single-threaded.

A face is detected once and then followed: its crop comes from its last landmarks. The detector runs where there is
nothing to follow, when a face is lost, after a cut, and where the picture changes: ``searching.py`` has the rules.
"""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Self

from models.errors import FewmarkError
from models.files.model_file import FaceModel
from models.registry import open_model
from tracker.backends import Choice, PassedOver, PredictionRequest, choose_backend
from tracker.config import DetectionConfig, TrackerConfig, TrackingConfig
from tracker.detectors import DETECTORS, FaceDetector
from tracker.following.association import FaceAssociator, unmatched_detections
from tracker.following.locating import FaceLocator, LocatedFace, LocateRequest, is_face, is_new_face
from tracker.following.scene_change import CUT, DOUBT, SceneChangeDetector
from tracker.following.searching import FaceSearch, Look, SearchState, looks_at_still
from tracker.following.smoothing import OneEuroFilter
from tracker.geometry.crop import bounding_box
from tracker.machine.timing import StageTimer
from tracker.types import FaceBox, Frame, TrackedFace, TrackingResult

MOST_FOLLOWED = 20  # in a video, where nobody says how many
_log = logging.getLogger(__name__)


class FaceTracker:
    """Follows faces through the frames of one source. Single-threaded: one thread makes it, uses it and closes it."""

    def __init__(
        self, model: FaceModel, choice: Choice, detector: FaceDetector, config: TrackerConfig | None = None
    ) -> None:
        self.model, self.backend, self.config = model, choice.backend, config or TrackerConfig()
        self._choice = choice
        self._locator = FaceLocator(model, choice.backend)
        self._detector = detector
        self._associator = FaceAssociator(self.config.tracking.association)
        self._scene = SceneChangeDetector()
        self._tracked: dict[int, FaceBox] = {}
        self._filters: dict[int, OneEuroFilter] = {}
        self._search = FaceSearch(self.config.detection)
        self._time_s = -math.inf  # of the last frame
        self._said_more = False  # faces were left out already: no need to look for more
        self._said_why_no_reconstruction = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def backends_passed_over(self) -> tuple[PassedOver, ...]:
        """Why no better backend runs, as of now."""
        return self._choice.passed_over

    def close(self) -> None:
        """Frees the backend and the detector."""
        self.backend.close()
        self._detector.close()

    def reset(self, *, restart_ids: bool = False) -> None:
        """Forgets all faces, as before a frame that does not follow the last one.

        Args:
            restart_ids: count ids from 0 again, as for another source; else none is used twice.
        """
        self._associator.reset()
        if restart_ids:
            self._associator = FaceAssociator(self.config.tracking.association)
        self._scene.reset()
        self._search.reset()
        self._said_more = False
        self._forget()

    def reconfigure(self, config: TrackerConfig) -> None:
        """Other limits and another smoothing from the next frame on; faces stay followed.

        Raises:
            ValueError: ``needs_another_tracker`` says so.
        """
        if needs_another_tracker(self.config, config):
            raise ValueError("another model, backend, detection or association needs another tracker")
        if (config.smooth, config.smoothing) != (self.config.smooth, self.config.smoothing):
            self._filters.clear()
        largest = sorted(self._tracked, key=lambda i: -self._tracked[i].width)[: most_faces(config.tracking)]
        self._tracked = {i: box for i, box in self._tracked.items() if i in largest}
        self._said_more = False
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
            recorded: the frame does not come live, there is no hurry: where no face is followed, those that lie or
                hang upside down are all looked for at once, not one way after the other.

        Raises:
            FewmarkError: reconstructions are asked of a model that was not trained to make any. Where one should make
                them and can't, it says so once, and tracking goes on without.
        """
        wanted = PredictionRequest(heatmaps, heatmap_of, reconstructions)
        return self._process(LocateRequest(frame.image, wanted), frame, recorded)

    def process_still(self, frame: Frame, *, heatmaps: bool = False, reconstructions: bool = False) -> TrackingResult:
        """The same for a frame that stands for itself, as a photo does: nothing is followed, and ids count from 0.

        There is no hurry: small faces are looked for in all of it, those that lie or hang upside down where there is no
        other, and the network looks at each face and at its mirror image, from two distances.
        """
        self.reset(restart_ids=True)
        wanted = PredictionRequest(heatmaps, reconstructions=reconstructions)
        return self._process(LocateRequest(frame.image, wanted, closely=True), frame, still=True)

    def _without_reconstructions(self, request: LocateRequest, why: str) -> LocateRequest:
        """Raises FewmarkError where the model was never meant to make them."""
        if not self.model.reconstructs:
            raise FewmarkError(why)
        if not self._said_why_no_reconstruction:
            _log.warning("no reconstructions: %s", why)
            self._said_why_no_reconstruction = True
        return replace(request, prediction=replace(request.prediction, reconstructions=False))

    def _process(
        self, request: LocateRequest, frame: Frame, recorded: bool = False, still: bool = False
    ) -> TrackingResult:
        if request.prediction.reconstructions and (why := self.model.why_no_reconstruction):
            request = self._without_reconstructions(request, why)
        timer, config = StageTimer(), self.config.tracking
        with timer.stage("scene"):
            if frame.time_s < self._time_s:
                self.reset()
            self._time_s = frame.time_s
            resemblance = self._scene.resemblance(frame.image)
            if resemblance < CUT:
                self._forget()

        followed = list(self._tracked.items())
        faces = self._locator.locate(request, [box for _, box in followed], [i for i, _ in followed], timer)
        # Where a scene may have ended, what is left of its faces has to be as sure as if it were found anew.
        believed = is_face if resemblance >= DOUBT else partial(is_new_face, detector_score=0.5)
        faces = [face for face in faces if believed(face, config=config)]

        most = most_faces(config, still=still)
        if still:
            faces += self._find(looks_at_still(frame.image, self.config.detection), faces, request, timer)
        elif len(faces) < most or not self._said_more:
            boxes, lost = [face.box for face in faces], len(faces) < len(followed)
            state = SearchState(frame.image, frame.time_s, self._scene.thumbnail, boxes, lost, recorded)
            faces += self._find(self._search.looks(state), faces, request, timer)

        with timer.stage("associate"):
            boxes, before = [face.box for face in faces], [face.previous_id for face in faces]
            tells = self._associator.needs_appearances(frame.time_s, before)
            appearances = [face.appearance for face in faces] if tells else None
            kept = self._associator.drop_duplicates(boxes, frame.time_s, before, appearances)
            # Followed faces stay; of the new ones the largest do.
            kept.sort(key=lambda i: (faces[i].previous_id is None, -faces[i].box.width))
            left_out = max(len(kept) - most, 0)
            self._said_more = self._said_more or left_out > 0
            kept = sorted(kept[:most])
            faces = [faces[i] for i in kept]
            ids = self._associator.update(
                [face.box for face in faces],
                frame.time_s,
                [face.previous_id for face in faces],
                [appearances[i] for i in kept] if appearances else None,
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
            left_out=left_out,
        )

    def _forget(self) -> None:
        self._tracked.clear()
        self._filters.clear()
        self._associator.cut()
        self._search.forget()

    def _find(
        self, looks: Sequence[Look], known: Sequence[LocatedFace], request: LocateRequest, timer: StageTimer
    ) -> list[LocatedFace]:
        """The new faces that these looks find. Each goes on where the last one left nothing that is a face."""
        faces = list(known)
        turns = 0
        for look in looks:
            if look.quarter_turns != turns and any(_stands(face.box, turns) for face in faces):
                break
            turns = look.quarter_turns
            with timer.stage("detect"):
                boxes = look.find(self._detector, request.image)
            new = unmatched_detections(boxes, [face.box for face in faces])
            faces += self._locator.locate_new(request, new, self.config.tracking, timer)
        return faces[len(known) :]

    def _finish(self, face_id: int, face: LocatedFace, time_s: float) -> TrackedFace:
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


def _stands(box: FaceBox, quarter_turns: int) -> bool:
    """Whether a face is upright, by less than 45 degrees, in the image turned to the left by so many quarters."""
    return math.cos(box.roll - quarter_turns * math.pi / 2) > math.sqrt(0.5)


def most_faces(config: TrackingConfig, *, still: bool = False) -> int:
    """How many faces are kept at most."""
    if config.max_faces is not None:
        return config.max_faces
    return sys.maxsize if still else MOST_FOLLOWED


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
    return DETECTORS[config.detector](min_score=config.min_score, model_dir=model_dir, report=report)


def open_tracker(
    config: TrackerConfig | None = None,
    *,
    model_dir: Path | None = None,
    report: Callable[[str], None] | None = None,
    upgrade: bool = False,
) -> FaceTracker:
    """A tracker with the model, backend and detector that the config names.

    Args:
        model_dir: where the user keeps detector files, see ``tracker.files.model_store``.
        report: receives a line for a person when a file has to be obtained.
        upgrade: let a better backend take over once it has been built, see ``choose_backend``; for live video, whose
            results need not be the same another time.

    Raises:
        FewmarkError: one of them can't be had.
    """
    config = config or TrackerConfig()
    model = open_model(config.model)
    # The detector last: left open by an error, it would wait for its own thread for ever when it is collected.
    choice = choose_backend(config.backend, model, upgrade=upgrade, report=report)
    try:
        detector = open_detector(config.detection, model_dir=model_dir, report=report)
    except BaseException:
        choice.backend.close()
        raise
    return FaceTracker(model, choice, detector, config)
