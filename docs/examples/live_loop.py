"""Watches a camera without a window: says which faces come and go, and once a second where their noses are.

python docs/examples/live_loop.py 0          # or camera:Logitech, rtsp://host/stream, film.mp4
"""

from __future__ import annotations

import contextlib
import math
import sys

from tracker import TrackerConfig, open_source, open_tracker


def main(spec: str) -> None:
    present: set[int] = set()
    next_s = -math.inf
    with open_tracker(TrackerConfig(smooth=True), report=print) as tracker, open_source(spec) as camera:
        print(f"{camera.info.name}: {camera.info.width} x {camera.info.height}, on {tracker.backend.device}")
        nose = tracker.model.scheme.point_names.index("nose_bridge_3")
        for frame in camera:  # a camera goes on until Ctrl-C
            result = tracker.process(frame)
            faces = {face.face_id: face for face in result.faces}
            for face_id in sorted(faces.keys() ^ present):
                print(f"{frame.time_s:9.2f} s  face {face_id} {'comes' if face_id in faces else 'goes'}")
            present = set(faces)
            if frame.time_s >= next_s:
                next_s = frame.time_s + 1
                noses = ", ".join(f"{i}: ({f.points[nose, 0]:.0f}, {f.points[nose, 1]:.0f})" for i, f in faces.items())
                print(f"{frame.time_s:9.2f} s  noses {noses or 'none'}; {sum(result.stage_ms.values()):.0f} ms")


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main(sys.argv[1] if len(sys.argv) > 1 else "0")
