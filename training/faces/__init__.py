"""Unlabelled faces for stage 1: images of any kind are cut to crops once, stored, and read into RAM for training."""

from __future__ import annotations

from training.faces.manifest import FaceManifest, PrepareSettings
from training.faces.prepare import prepare_faces
from training.faces.store import FaceStore, load_faces

__all__ = ["FaceManifest", "FaceStore", "PrepareSettings", "load_faces", "prepare_faces"]
