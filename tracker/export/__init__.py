"""Models for other programs: one file from crops to points, checked against eager once it is written."""

from __future__ import annotations

from tracker.export.export import FORMATS, ExportReport, export_model
from tracker.export.metadata import export_metadata

__all__ = ["FORMATS", "ExportReport", "export_metadata", "export_model"]
