"""Fits the detectors' maps from keypoints to the landmarks' box, and prints them: ``LANDMARK_BOX_FITS`` of
``tracker/detectors/blazeface.py`` and ``LANDMARK_BOX_FIT`` of ``centerface.py``.

    python -m training.crops.fit_detector_box PATH/TO/300w

Every training face of 300-W is seen three times: as it is, and twice turned by up to 30 degrees, scaled and moved into
a 640x480 frame. Least squares over 80 % of the photos; the errors printed are those of the other 20 %.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from tracker.detectors import CenterFaceDetector, MediaPipeFaceDetector
from tracker.detectors.keypoint_box import KeypointDetection, LandmarkBoxFit, keypoint_frame, landmark_box
from tracker.geometry.crop import box_around_points, transform_points
from tracker.types import FaceBox, ImageArray
from training.datasets import FaceSample, split_validation
from training.datasets.w300 import read_w300

FRAME_SIZE = (640, 480)  # px
FACE_OVER_HEIGHT = (0.15, 0.7)  # the landmarks' extent in units of the frame's height
MAX_TURN_DEGREES = 30.0
MATCH_DISTANCE = 0.4  # sides between a detection's nose and the true centre, for the detection to count


class KeypointDetector(Protocol):
    """What is fitted."""

    def detect_keypoints(self, image: ImageArray) -> list[KeypointDetection]: ...
    def close(self) -> None: ...


# With the least score of a detection that is believed.
DETECTORS: dict[str, Callable[[], KeypointDetector]] = {
    "short_range": partial(MediaPipeFaceDetector, "short_range", min_score=0.5),
    "full_range": partial(MediaPipeFaceDetector, "full_range", min_score=0.5),
    "centerface": partial(CenterFaceDetector, min_score=0.4),
}


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """A detection and the box it should give."""

    detection: KeypointDetection
    truth: FaceBox


def views(sample: FaceSample, rng: np.random.Generator) -> list[tuple[ImageArray, FaceBox]]:
    """The photo and two placements of it, each with the box around its landmarks."""
    image = sample.load_image()
    seen = [(image, box_around_points(sample.points, sample.scheme))]
    width, height = FRAME_SIZE
    extent = float(np.ptp(sample.points, axis=0).max())
    centre = sample.points.mean(axis=0)
    for border in (cv2.BORDER_REFLECT, cv2.BORDER_CONSTANT):
        scale = math.exp(rng.uniform(*np.log(FACE_OVER_HEIGHT))) * height / extent
        turn = cv2.getRotationMatrix2D(
            (float(centre[0]), float(centre[1])), rng.uniform(-MAX_TURN_DEGREES, MAX_TURN_DEGREES), scale
        )
        placed = np.asarray(turn, dtype=np.float64)
        placed[:, 2] += rng.uniform(0.35, 0.65, 2) * FRAME_SIZE - centre
        # warpAffine does not average when it shrinks: the photo is blurred by as much as it shrinks.
        smooth = cv2.GaussianBlur(image, (0, 0), 0.5 / scale) if scale < 1 else image
        view = np.asarray(cv2.warpAffine(smooth, placed, (width, height), borderMode=border), dtype=np.uint8)
        points = transform_points(sample.points, placed).astype(np.float32)
        seen.append((view, box_around_points(points, sample.scheme)))
    return seen


def matches(samples: list[FaceSample], detector: KeypointDetector, seed: int) -> tuple[list[Match], int]:
    """(the views in which the face was found, the number of views)."""
    rng = np.random.default_rng(seed)
    found: list[Match] = []
    total = 0
    for sample in samples:
        for image, truth in views(sample, rng):
            total += 1
            near = [
                detection
                for detection in detector.detect_keypoints(image)
                if math.dist(detection.keypoints[2], truth.centre) < MATCH_DISTANCE * truth.width
            ]
            if near:
                found.append(Match(max(near, key=lambda detection: detection.score), truth))
    return found, total


def fit(found: list[Match]) -> LandmarkBoxFit:
    """Least squares of the box's centre and side in the keypoints' frame."""
    frames = [keypoint_frame(match.detection.keypoints) for match in found]
    targets = [
        np.append((np.array(match.truth.centre) - frame.origin) @ frame.frame_from_face, match.truth.width) / frame.unit
        for match, frame in zip(found, frames, strict=True)
    ]
    x, y, side = np.array(targets).T
    nose_x, terms = np.array([frame.nose_x for frame in frames]), np.array([frame.terms for frame in frames])
    return LandmarkBoxFit(round(float(nose_x @ x / (nose_x @ nose_x)), 3), _solve(terms, y), _solve(terms, side))


def _solve(terms: NDArray[np.float64], target: NDArray[np.float64]) -> tuple[float, float, float]:
    """Coefficients of (1, nose y, mouth y)."""
    one, nose_y, mouth_y = (round(float(value), 3) for value in np.linalg.lstsq(terms, target, rcond=None)[0])
    return one, nose_y, mouth_y


def errors(found: list[Match], constants: LandmarkBoxFit) -> str:
    """One line: centre in sides, side as a logarithm, roll in degrees."""
    boxes = [landmark_box(match.detection, constants) for match in found]
    truths = [match.truth for match in found]
    centre = [math.dist(b.centre, t.centre) / t.width for b, t in zip(boxes, truths, strict=True)]
    size = [math.log(b.width / t.width) for b, t in zip(boxes, truths, strict=True)]
    roll = [math.degrees(abs(math.remainder(b.roll - t.roll, math.tau))) for b, t in zip(boxes, truths, strict=True)]
    return (
        f"centre error {np.mean(centre):.3f} of the side (95 %: {np.quantile(centre, 0.95):.3f}), "
        f"log side std {np.std(size):.3f}, "
        f"roll error {np.median(roll):.1f} degrees (95 %: {np.quantile(roll, 0.95):.1f})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit the maps from detectors' keypoints to the landmarks' box.")
    parser.add_argument("data", type=Path, help="folder of 300-W that holds lfpw, helen and afw")
    parser.add_argument("--every", type=int, default=1, help="use every n-th face")
    parser.add_argument("--detectors", default=",".join(DETECTORS), help="names, comma-separated")
    arguments = parser.parse_args()
    train, held_out = split_validation(read_w300(arguments.data).samples[:: arguments.every], 0.2)
    for name in arguments.detectors.split(","):
        with closing(DETECTORS[name]()) as detector:
            found, total = matches(train, detector, seed=0)
            constants = fit(found)
            seen, views_held_out = matches(held_out, detector, seed=1)
        print(f'"{name}": {constants},')
        print(f"# fit: {len(found)} of {total} views found; {errors(found, constants)}")
        print(f"# held out: {len(seen)} of {views_held_out} views found; {errors(seen, constants)}")


if __name__ == "__main__":
    main()
