"""Tracks every video of a folder, and plots how far the mouth is open over time.

python docs/examples/mouth_over_time.py takes/ --out mouth.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from tracker import FaceTracker, FewmarkError, TrackedFace, open_source, open_tracker

POINTS = ("inner_lip_2", "inner_lip_6", "outer_lip_0", "outer_lip_6")  # middle above and below, the two corners


def opening(face: TrackedFace, names: tuple[str, ...]) -> float:
    """The gap between the lips over the width of the mouth: 0 is closed."""
    above, below, left, right = (face.points[names.index(name)] for name in POINTS)
    return float(np.linalg.norm(below - above) / np.linalg.norm(right - left))


def openings_over_time(tracker: FaceTracker, video: Path) -> tuple[list[float], list[float]]:
    """Times in seconds, and the opening of the widest face's mouth; NaN, a gap in the line, where there is no face."""
    times, openings = [], []
    tracker.reset(restart_ids=True)
    with open_source(video) as source:
        for frame in source:
            faces = tracker.process(frame, recorded=True).faces
            widest = max(faces, key=lambda face: face.box.width, default=None)
            times.append(frame.time_s)
            openings.append(opening(widest, tracker.model.scheme.point_names) if widest else np.nan)
    return times, openings


def main() -> None:
    parser = argparse.ArgumentParser(description="Plot the opening of the mouth over time.")
    parser.add_argument("folder", type=Path, help="with videos")
    parser.add_argument("--out", type=Path, default=Path("mouth.png"))
    arguments = parser.parse_args()

    figure = Figure(figsize=(10, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="time [s]", ylabel="gap between the lips / width of the mouth")
    with open_tracker() as tracker:
        for path in sorted(arguments.folder.iterdir()):
            try:
                axes.plot(*openings_over_time(tracker, path), label=path.name)
            except FewmarkError as error:  # no video, or a damaged one: the message says which and why
                print(f"left out: {error}")
    axes.legend()
    figure.savefig(arguments.out)
    print(arguments.out)


if __name__ == "__main__":
    main()
