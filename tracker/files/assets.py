"""Where the files that come with the project lie, in a checkout and in an installed wheel."""

from __future__ import annotations

from pathlib import Path

from models.errors import FewmarkError

_PACKAGE = Path(__file__).resolve().parents[1]


def demo_clip() -> Path:
    """The clip that ``fewmark demo`` tracks: H.264, 1280x720, 30 frames/s, no audio.

    Raises:
        FewmarkError: The installation holds no clip.
    """
    places = (
        _PACKAGE.parent / "assets" / "demo.mp4",  # checkout
        _PACKAGE / "data" / "demo.mp4",  # wheel: see force-include in pyproject.toml
    )
    for path in places:
        if path.is_file():
            return path
    looked = " or ".join(str(path) for path in places)
    raise FewmarkError(f"the demo clip is missing: no {looked}; install Fewmark again, or name a video of your own")
