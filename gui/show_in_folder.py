"""A file's folder shown in the desktop's file manager."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import QUrl
from PyQt6.QtGui import QDesktopServices


def show_in_folder(path: Path) -> None:
    """Opens the folder that ``path`` lies in, or ``path`` itself if it is one."""
    folder = path if path.is_dir() else path.parent
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))
