"""What an exported file says of itself: all that its user must know to feed it and to read what comes out."""

from __future__ import annotations

import json
from dataclasses import asdict

from models.autoencoder.encoder import CHANNEL_MEAN
from models.files.model_file import FaceModel
from tracker.version import fewmark_version

_CROP = (
    "a square around the face's box, its side margin times the box's longer side, its centre lifted by lift times that "
    "side; with level, turned by the face's roll so that the eyes are level"
)
_PIXELS = "the centre of the top-left pixel is (0, 0): frame = (crop + 0.5) * side_in_frame / crop_size - 0.5 + corner"


def export_metadata(model: FaceModel) -> dict[str, str]:
    """Texts by key; those of several values are JSON."""
    size, scheme = model.network.config.input_size, model.scheme
    calibration = model.calibration
    return {
        "model": model.name,
        "made_with": f"fewmark {fewmark_version()}",
        "input": f"crops: (batch, {size}, {size}, 3) uint8 RGB, 0..255",
        "normalisation": json.dumps(
            {"inside": True, "what": "RGB / 255 - mean", "mean": list(CHANNEL_MEAN)},
        ),
        "crop_rule": json.dumps({**asdict(model.crop_rule), "crop_size": size, "meaning": _CROP}),
        "points": f"(batch, {scheme.num_points}, 2) float32, x and y in pixels of the crop; {_PIXELS}",
        "scheme": json.dumps(scheme.to_dict()),
        "confidence": f"(batch, {scheme.num_points}) float32, 0..1: {model.confidence_meaning}",
        "calibration": json.dumps(None if calibration is None else {"inside": True, **calibration.to_dict()}),
    }
