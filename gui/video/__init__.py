"""The video workspace: recordings played, processed in the background, and exported."""

from gui.video.workspace import VideoWorkspace

__all__ = ["VideoWorkspace"]
