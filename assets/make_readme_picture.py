"""Draws ``demo_tracked.jpg`` for the README: moments of the bundled clip, tracked by the default model.

python assets/make_readme_picture.py
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from tracker.assets import demo_clip
from tracker.overlays import OverlayContext, render
from tracker.pipeline import open_tracker
from tracker.sources import open_source

MOMENTS_S = (0.7, 3.3, 5.3, 9.0)
TILE = (640, 360)  # px


def main() -> None:
    """Tracks the clip from its start, so that ids and confidences are those of ``fewmark demo``."""
    tiles = []
    wanted = list(MOMENTS_S)
    with open_tracker() as tracker, open_source(demo_clip()) as source:
        context = OverlayContext(tracker.model.scheme)
        for frame in source:
            result = tracker.process(frame, heatmaps=True)
            if wanted and frame.time_s >= wanted[0]:
                wanted.pop(0)
                image = render(result, ("heatmap", "contours", "confidence", "box"), context)
                tiles.append(cv2.resize(image, TILE, interpolation=cv2.INTER_AREA))
    rows = [np.hstack(tiles[i : i + 2]) for i in range(0, len(tiles), 2)]
    picture = np.vstack(rows)[..., ::-1]
    cv2.imwrite(str(Path(__file__).parent / "demo_tracked.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main()
