"""Where this program keeps what it can make or obtain again."""

from __future__ import annotations

from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """The user's cache for Fewmark; it need not exist yet, and may be deleted at any time."""
    return Path(platformdirs.user_cache_dir("fewmark"))
