"""The live workspace: a camera, its faces and what the network sees in them."""

from __future__ import annotations

from gui.live.workspace import LiveWorkspace

__all__ = ["LiveWorkspace"]
