"""Draws ``demo_tracked.jpg`` for the README: moments of the bundled clip, tracked by the default model.

python assets/make_readme_picture.py
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from tracker.files.assets import demo_clip
from tracker.following.pipeline import open_tracker
from tracker.overlays import OverlayContext, render
from tracker.sources import open_source

HEATMAP = ("heatmap", "contours", "confidence", "box")
RECONSTRUCTION = ("points", "reconstruction")
MOMENTS_S = {0.7: HEATMAP, 3.3: RECONSTRUCTION, 5.3: HEATMAP, 9.0: HEATMAP}  # and what is drawn then
TILE = (640, 360)  # px


def main() -> None:
    """Tracks the clip from its start, so that ids and confidences are those of ``fewmark demo``."""
    tiles = []
    wanted = list(MOMENTS_S)
    with open_tracker() as tracker, open_source(demo_clip()) as source:
        context = OverlayContext(tracker.model.scheme, inset_share=0.35)
        for frame in source:
            result = tracker.process(frame, heatmaps=True, reconstructions=True)
            if wanted and frame.time_s >= wanted[0]:
                image = render(result, MOMENTS_S[wanted.pop(0)], context)
                tiles.append(cv2.resize(image, TILE, interpolation=cv2.INTER_AREA))
    rows = [np.hstack(tiles[i : i + 2]) for i in range(0, len(tiles), 2)]
    picture = np.vstack(rows)[..., ::-1]
    cv2.imwrite(str(Path(__file__).parent / "demo_tracked.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main()
