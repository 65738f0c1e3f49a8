"""The pages of a TIFF file."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

_KIND_OF_PAGE = 254  # the tag NewSubfileType
_NO_PAGE = 1 | 4  # its bits for a smaller copy of another page and for a mask


def pages_of(path: Path) -> list[int]:
    """Positions in the file of its pages, leaving out thumbnails and masks; [0] where that can't be told."""
    try:
        with Image.open(path, formats=["TIFF"]) as image:
            pages = []
            for position in range(getattr(image, "n_frames", 1)):
                image.seek(position)
                if not image.tag_v2.get(_KIND_OF_PAGE, 0) & _NO_PAGE:  # type: ignore[attr-defined]
                    pages.append(position)
    except Exception:  # Pillow raises what it likes for what it does not know; reading the image says what is wrong
        return [0]
    return pages or [0]
