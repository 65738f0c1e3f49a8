"""The dialog that asks for files to open."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtWidgets import QFileDialog, QWidget

from tracker.batch import SIDECAR_SUFFIX
from tracker.batch.jobs import VIDEO_SUFFIXES
from tracker.sources.images import IMAGE_SUFFIXES


def ask_for_recordings(parent: QWidget, folder: Path | None) -> list[str]:
    """Videos, images and records of earlier runs; empty if the user thinks better of it.

    Args:
        folder: where the dialog begins.
    """
    patterns = " ".join(f"*{suffix}" for suffix in (*sorted(VIDEO_SUFFIXES), *IMAGE_SUFFIXES, SIDECAR_SUFFIX))
    names, _ = QFileDialog.getOpenFileNames(
        parent, "Open recordings", str(folder or ""), f"Videos, images, results ({patterns});;All files (*)"
    )
    return names
